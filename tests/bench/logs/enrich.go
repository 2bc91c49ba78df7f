package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"sync"
	"sync/atomic"
	"time"

	"shoal"
	"shoal/soap"
	"shoal/tests/bench/report"
)

const (
	enrichFor     = 4 * time.Second
	enrichCallers = 4
)

// enrich measures how many files a second an enrichment service on one core looks at for a few callers, each with the
// longest head there is.
func enrich(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	s, err := start(ctx, b, "enrich", "soap")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	client, err := soap.NewClient(s.event.URL, nil)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	picture, err := makePicture()
	if err != nil {
		return nil, err
	}
	ask := func() error {
		facts, err := client.Enrich(ctx, "a.txt", int64(len(picture)), picture[:shoal.MaxHead])
		if err == nil && (facts.MediaType != "image/png" || facts.Width != pictureSize) {
			err = fmt.Errorf("a picture of %d pixels is %+v", pictureSize, facts)
		}
		return err
	}
	if err := ask(); err != nil {
		return nil, err
	}
	before, err := s.Usage()
	if err != nil {
		return nil, err
	}
	n, took, err := askAll(ask)
	after, usageErr := s.Usage()
	if err = errors.Join(err, usageErr); err != nil {
		return nil, err
	}
	rate := float64(n) / took.Seconds()
	rows := []string{
		"calls\tseconds\tcalls/s\tCPU µs each\tpeak MiB",
		fmt.Sprintf("%d\t%.2f\t%.0f\t%.0f\t%.1f", n, took.Seconds(), rate, float64((after.CPU-before.CPU).Microseconds())/float64(n),
			float64(after.Peak)/(1<<20)),
	}
	return []report.Verdict{{Name: "enrich", Measured: rate, Bar: 1000, AtLeast: true, Unit: " calls/s"}},
		report.Table(fmt.Sprintf("\nThe enrichment service on one core: %d callers, heads of %d bytes", enrichCallers, shoal.MaxHead), rows)
}

// askAll has several callers ask for a while, and returns how often they were answered.
func askAll(ask func() error) (n int64, took time.Duration, err error) {
	var answered atomic.Int64
	failed := make([]error, enrichCallers)
	var callers sync.WaitGroup
	start := time.Now()
	for i := range failed {
		callers.Go(func() {
			for failed[i] == nil && time.Since(start) < enrichFor {
				if failed[i] = ask(); failed[i] == nil {
					answered.Add(1)
				}
			}
		})
	}
	callers.Wait()
	return answered.Load(), time.Since(start), errors.Join(failed...)
}

const pictureSize = 64

// makePicture returns a PNG file that is longer than a head.
func makePicture() ([]byte, error) {
	m := image.NewRGBA(image.Rect(0, 0, pictureSize, pictureSize))
	for i := range pictureSize * pictureSize {
		m.Set(i%pictureSize, i/pictureSize, color.RGBA{uint8(i * 7), uint8(i * i), uint8(i * i >> 5), 255})
	}
	var out bytes.Buffer
	err := png.Encode(&out, m)
	if err == nil && out.Len() < shoal.MaxHead {
		err = fmt.Errorf("the picture has only %d bytes", out.Len())
	}
	return out.Bytes(), err
}
