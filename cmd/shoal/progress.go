package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// bar is a progress bar on stderr; where that is no terminal it shows nothing.
type bar struct {
	progress *mpb.Progress
	bar      *mpb.Bar
	begin    time.Time
	size     int64
}

// newBar shows a bar for size bytes; for an unknown size, 0, only how many there are so far.
func newBar(title string, size int64) *bar {
	b := &bar{begin: time.Now(), size: size}
	b.progress = mpb.New(mpb.WithOutput(barOutput()), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond))
	style, counter := mpb.BarFillerBuilder(mpb.BarStyle()), decor.CountersKibiByte("% .1f / % .1f")
	if size == 0 {
		style, counter = mpb.NopStyle(), decor.CurrentKibiByte("% .1f")
	}
	b.bar = b.progress.New(size, style, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(title+" ")), mpb.AppendDecorators(counter))
	return b
}

func (b *bar) set(n int64) {
	if b.size > 0 {
		n = min(n, b.size)
	}
	b.bar.SetCurrent(n)
}

func (b *bar) end() {
	b.bar.Abort(true)
	b.progress.Wait()
}

func barOutput() io.Writer {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return os.Stderr
	}
	return nil
}

// addUp turns a function that is told how much there is so far into one that is told how much came, from any goroutine.
func addUp(set func(int64)) func(int64) {
	var sum atomic.Int64
	return func(n int64) { set(sum.Add(n)) }
}

// rateText writes a rate for people.
func rateText(n int64, d time.Duration) string {
	return bytesText(int64(float64(n)/max(d.Seconds(), 1e-3))) + "/s"
}

// leftText is how long the rest will take at the rate so far.
func leftText(done, size int64, d time.Duration) string {
	if done <= 0 {
		return "--"
	}
	left := time.Duration(float64(size-done) / float64(done) * float64(d))
	return fmt.Sprint(left.Round(time.Second))
}
