package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// peakOf is how many bytes a running process had resident at most; 0 when it has ended.
func peakOf(p *process) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)) // gone with the process
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes * kib
		}
	}
	return 0
}

// watchPeak looks at a process's peak again and again until the function that it returns is called, for the largest.
func watchPeak(t *testing.T, p *process) func() int64 {
	var largest int64
	quit := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			largest = max(largest, peakOf(p))
			select {
			case <-ticker.C:
			case <-quit:
				return
			}
		}
	})
	stop := sync.OnceFunc(func() { close(quit); watcher.Wait() })
	t.Cleanup(stop)
	return func() int64 { stop(); return largest }
}
