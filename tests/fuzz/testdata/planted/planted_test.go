package planted

import "testing"

func FuzzBad(f *testing.F) {
	f.Add([]byte("a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 && b[0] == 'b' {
			t.Error("it begins with b")
		}
	})
}
