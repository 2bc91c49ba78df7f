package service

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal"
	"shoal/soap"
)

func TestMain(m *testing.M) {
	if os.Getenv(asService) != "" {
		os.Exit(beService())
	}
	goleak.VerifyTestMain(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code shoal.Code) {
	t.Helper()
	if err == nil || shoal.CodeOf(err) != code {
		t.Fatalf("error %v, want one with code %v", err, code)
	}
}

// running is a service that answers until stop is called, at the latest at the test's end.
type running struct {
	*Service
	stop func()
}

func run(t testing.TB, c Config) *running {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.State == "" {
		c.State = t.TempDir()
	}
	c.Log = zerolog.Nop()
	s, err := New(c)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	r := &running{s, func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the service ended: %v", err)
		}
	}}
	t.Cleanup(r.stop)
	return r
}

func client(t testing.TB, r *running) *soap.Client {
	t.Helper()
	c, err := soap.NewClient(r.URL(), nil)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestZeepCallsBothOperations(t *testing.T) {
	r := run(t, Config{})
	picture := filepath.Join(t.TempDir(), "a.txt")
	var content bytes.Buffer
	must(t, png.Encode(&content, image.NewGray(image.Rect(0, 0, 640, 480))))
	must(t, os.WriteFile(picture, content.Bytes(), 0o600))

	// zeep is Debian's, and another python may come first in PATH.
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/caller.py", r.URL()+"?wsdl", picture)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var got struct {
		Address               string
		Stamps                []uint64
		Zone, Time            string
		Picture, Text, Unseen map[string]any
		Faults                map[string]string
		WhiteSpace            int `json:"white space"`
		Checked               int
	}
	must(t, json.Unmarshal(text, &got))
	if got.Address != r.URL() {
		t.Errorf("the contract says that the service is at %s, not at %s", got.Address, r.URL())
	}
	if len(got.Stamps) != 2 || got.Stamps[0] == 0 || got.Stamps[1] != got.Stamps[0]+3 {
		t.Errorf("numbers %v", got.Stamps)
	}
	now := time.Now()
	if zone, _ := now.Zone(); got.Zone != zone {
		t.Errorf("zone %q, want %q", got.Zone, zone)
	}
	if at, err := time.Parse(time.RFC3339Nano, got.Time); err != nil || now.Sub(at).Abs() > time.Minute {
		t.Errorf("time %s, now %v", got.Time, now)
	}
	same := func(got, want map[string]any) {
		t.Helper()
		if !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	same(got.Picture, map[string]any{"mediaType": "image/png", "category": "image", "width": 640.0, "height": 480.0})
	same(got.Text, map[string]any{"mediaType": "text/markdown", "category": "text", "encoding": "us-ascii"})
	same(got.Unseen, map[string]any{"mediaType": "video/matroska", "category": "video"})
	if got.WhiteSpace != 200 || got.Checked != 5 {
		t.Errorf("white space is answered by %d, and %d replies were checked", got.WhiteSpace, got.Checked)
	}
	for _, name := range slices.Sorted(maps.Keys(got.Faults)) {
		want := "500 Client"
		switch name {
		case "SOAP 1.2":
			want = "500 VersionMismatch"
		case "mustUnderstand":
			want = "500 MustUnderstand"
		}
		if fault := got.Faults[name]; fault != want && fault != strings.TrimPrefix(want, "500 ") {
			t.Errorf("%s: %s, want %s", name, fault, want)
		}
	}
	if len(got.Faults) != 20 {
		t.Errorf("%d faults: %v", len(got.Faults), got.Faults)
	}
}

func TestClientCallsBothOperations(t *testing.T) {
	c := client(t, run(t, Config{}))
	first, err := c.Stamp(t.Context(), 10)
	must(t, err)
	second, err := c.Stamp(t.Context(), 1)
	must(t, err)
	if second.First != first.First+10 || first.Zone == "" || time.Since(first.Time).Abs() > time.Minute {
		t.Errorf("%+v, then %+v", first, second)
	}
	got, err := c.Enrich(t.Context(), "Grüße & <mehr> \u00a0.c", 1<<46, []byte("int a = '\\0';\r\n"))
	must(t, err)
	if want := (shoal.Facts{State: shoal.Known, MediaType: "text/x-c", Category: "text", Encoding: "utf-8"}); got != want {
		t.Errorf("%+v", got)
	}
	got, err = c.Enrich(t.Context(), "a", shoal.MaxHead, make([]byte, shoal.MaxHead))
	must(t, err)
	if got.MediaType != "application/octet-stream" || got.Category != "data" {
		t.Errorf("%+v", got)
	}
	_, err = c.Enrich(t.Context(), "a", 1, []byte("two"))
	wantCode(t, err, shoal.BadRequest)
	_, err = c.Stamp(t.Context(), 0)
	wantCode(t, err, shoal.BadRequest)
}

func TestNumbersAreNeverRepeated(t *testing.T) {
	state := t.TempDir()
	var last uint64
	for range 3 {
		r := run(t, Config{State: state})
		c := client(t, r)
		for range 3 {
			stamp, err := c.Stamp(t.Context(), soap.MaxCount)
			must(t, err)
			if stamp.First <= last {
				t.Fatalf("%d after %d", stamp.First, last)
			}
			last = stamp.First + soap.MaxCount - 1
		}
		r.stop()
	}
}

func TestListeningIsRefused(t *testing.T) {
	state := t.TempDir()
	r := run(t, Config{State: state})
	for _, c := range []struct {
		config Config
		code   shoal.Code
		says   string
	}{
		{Config{Listen: r.Addr().String()}, shoal.Busy, "--listen"},
		{Config{Listen: "127.0.0.1:0", State: state}, shoal.Busy, "--state"},
		{Config{Listen: ":0"}, shoal.Denied, "--cert"},
		{Config{Listen: "0.0.0.0:0"}, shoal.Denied, "--cert"},
		{Config{Listen: "192.0.2.1:0"}, shoal.Denied, "--cert"},
		{Config{Listen: "7402"}, shoal.BadRequest, "HOST:PORT"},
		{Config{Listen: "127.0.0.1:0", Certificate: "cert.pem"}, shoal.BadRequest, "--key"},
		{Config{Listen: ":0", Certificate: "/missing", Key: "/missing"}, shoal.BadRequest, "/missing"},
	} {
		if c.config.State == "" {
			c.config.State = t.TempDir()
		}
		_, err := New(c.config)
		wantCode(t, err, c.code)
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q does not mention %s", err, c.says)
		}
	}
}
