package pcap_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode"

	"shoal/tests/bounds"
	"shoal/tests/pcap"
	"shoal/tests/pcap/packet"
	"shoal/tests/pcap/report"
)

// FuzzCapture makes reports of captures that nobody made: they cost no more than a few times the file, and nothing in them does
// anything to a terminal.
func FuzzCapture(f *testing.F) {
	all := sample(f, "plaintext.pcapng.gz")
	f.Add(capture(f, all[:60]))
	f.Add(capture(f, append(all[3:30:30], all[200:210]...)))
	f.Add(capture(f, sample(f, "tls.pcapng.gz")[:20]))
	f.Add(capture(f, sample(f, "services.pcapng.gz")))
	f.Fuzz(func(t *testing.T, file []byte) {
		if bytes.HasPrefix(file, []byte{0x1f, 0x8b}) {
			return // what is compressed may cost what it is the whole of
		}
		bounds.Hold(t, len(file), func() {
			r, err := packet.NewReader(bytes.NewReader(file))
			if err != nil {
				return
			}
			found, _ := pcap.Analysis{}.Read(r) // a file that cannot be read to its end is reported as far as it can
			if err := (report.Text{All: true}).Write(printable{t}, found); err != nil {
				t.Error(err)
			}
		})
	})
}

// printable is a terminal that must not be told anything but text.
type printable struct{ t *testing.T }

var _ io.Writer = printable{}

func (p printable) Write(b []byte) (int, error) {
	if i := strings.IndexFunc(string(b), func(r rune) bool { return unicode.IsControl(r) && r != '\n' }); i >= 0 {
		p.t.Errorf("%q reaches the terminal", b[max(0, i-50):min(len(b), i+50)])
	}
	return len(b), nil
}
