package simulation

import "testing"

// BenchmarkCrowd is what a step costs in a crowd that no processor's cache holds, and how long it takes.
func BenchmarkCrowd(b *testing.B) {
	steps := int64(0)
	for b.Loop() {
		r, err := Run(crowd(2000, 100, 8<<20))
		if err != nil || r.Finished != 2000 {
			b.Fatal(r, err)
		}
		steps += r.Steps
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps), "ns/step")
}
