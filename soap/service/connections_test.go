package service

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"
)

// Connections are closed for new ones, which wait when many of those have not ended yet.
func TestEndingIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConnections(1)
		var all []net.Conn
		taken := 0
		done := make(chan struct{})
		for range mostEnding + 2 {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			all = append(all, ours)
		}
		go func() {
			defer close(done)
			for _, nc := range all {
				c.note(nc, http.StateNew)
				taken++
			}
		}()
		synctest.Wait()
		if taken != mostEnding+1 {
			t.Fatalf("%d were taken while none had ended", taken)
		}
		c.note(all[0], http.StateClosed)
		<-done
		for _, nc := range all[1:] {
			c.note(nc, http.StateClosed)
		}
		if len(c.all) != 0 || c.evicted != 0 {
			t.Errorf("%d are left, %d on their way out", len(c.all), c.evicted)
		}
	})
}
