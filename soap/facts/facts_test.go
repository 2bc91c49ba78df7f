package facts

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"shoal"
	"shoal/tests/bounds"
)

func encoded(t *testing.T, encode func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func picture(width, height int) image.Image {
	m := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.Black, color.White})
	m.Set(1, 1, color.White)
	return m
}

func pngOf(t *testing.T, width, height int) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, picture(width, height)) })
}

// of asks for the facts of a file with this content.
func of(name string, content []byte) shoal.Facts {
	return Of(shoal.Name(name), int64(len(content)), content[:min(len(content), shoal.MaxHead)])
}

func TestContentDecides(t *testing.T) {
	utf16le := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune("Grüße\n")) {
		utf16le = append(utf16le, byte(u), byte(u>>8))
	}
	zipFile := func(names ...string) []byte {
		return encoded(t, func(b *bytes.Buffer) error {
			w := zip.NewWriter(b)
			for _, name := range names {
				if _, err := w.Create(name); err != nil {
					return err
				}
			}
			return w.Close()
		})
	}
	tarFile := encoded(t, func(b *bytes.Buffer) error {
		w := tar.NewWriter(b)
		if err := w.WriteHeader(&tar.Header{Name: "a", Mode: 0o600}); err != nil {
			return err
		}
		return w.Close()
	})
	gzipped := encoded(t, func(b *bytes.Buffer) error {
		w := gzip.NewWriter(b)
		_, _ = w.Write([]byte("text"))
		return w.Close()
	})
	random := make([]byte, 5000)
	rand.NewChaCha8([32]byte{1}).Read(random)
	for _, c := range []struct {
		name    string
		content []byte
		want    shoal.Facts
	}{
		{"a.txt", pngOf(t, 40, 30), shoal.Facts{MediaType: "image/png", Category: "image", Width: 40, Height: 30}},
		{"picture.png", []byte("no picture\n"), shoal.Facts{MediaType: "text/plain", Category: "text", Encoding: "us-ascii"}},
		{"picture.png", random, shoal.Facts{MediaType: "application/octet-stream", Category: "data"}},
		{"empty.png", nil, shoal.Facts{MediaType: "application/octet-stream", Category: "data"}},
		{"empty.txt", nil, shoal.Facts{MediaType: "text/plain", Category: "text"}},
		{"main.go", []byte("package main\n"), shoal.Facts{MediaType: "text/x-go", Category: "text", Encoding: "us-ascii"}},
		{"MAIN.C", []byte("int a, b;\nint c, d;\n"), shoal.Facts{MediaType: "text/x-c", Category: "text", Encoding: "us-ascii"}},
		{"table", []byte("a,b\n1,2\n3,4\n"), shoal.Facts{MediaType: "text/csv", Category: "text", Encoding: "us-ascii"}},
		{"mz.txt", []byte("MZ is not always a program"), shoal.Facts{MediaType: "text/plain", Category: "text", Encoding: "us-ascii"}},
		{"a", []byte("Grüße\n"), shoal.Facts{MediaType: "text/plain", Category: "text", Encoding: "utf-8"}},
		{"a", []byte("Gr\xfc\xdfe\n"), shoal.Facts{MediaType: "text/plain", Category: "text", Encoding: "iso-8859-1"}},
		{"a", []byte("\x93Gr\xfc\xdfe\x94\n"), shoal.Facts{MediaType: "text/plain", Category: "text", Encoding: "windows-1252"}},
		{"a", utf16le, shoal.Facts{MediaType: "text/plain", Category: "text", Encoding: "utf-16le"}},
		{"a", []byte(strings.Repeat("ä", 2000)), shoal.Facts{MediaType: "text/plain", Category: "text", Encoding: "utf-8"}},
		{"a", []byte("x" + strings.Repeat("ä", 2000)), shoal.Facts{MediaType: "text/plain", Category: "text", Encoding: "utf-8"}},
		{"a", []byte(strings.Repeat("a ", 2000)), shoal.Facts{MediaType: "text/plain", Category: "text", Encoding: "utf-8"}},
		{"a", []byte(`{"a": [` + strings.Repeat("1, ", 2000) + "1]}"), shoal.Facts{MediaType: "application/json", Category: "text", Encoding: "utf-8"}},
		{"a.svg", []byte("<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), shoal.Facts{MediaType: "image/svg+xml", Category: "image", Encoding: "us-ascii"}},
		{"run", []byte("#!/bin/sh\ntrue\n"), shoal.Facts{MediaType: "text/x-shellscript", Category: "text", Encoding: "us-ascii"}},
		{"a", zipFile("a", "b"), shoal.Facts{MediaType: "application/zip", Category: "archive", Archive: "zip"}},
		{"a.docx", zipFile("customXml/a"), shoal.Facts{MediaType: "application/vnd.openxmlformats-officedocument.wordprocessingml.document", Category: "document"}},
		{"a.docx", gzipped, shoal.Facts{MediaType: "application/gzip", Category: "archive", Archive: "gzip"}},
		{"a", tarFile, shoal.Facts{MediaType: "application/x-tar", Category: "archive", Archive: "tar"}},
		{"a", []byte("\x28\xb5\x2f\xfd\x04\x00"), shoal.Facts{MediaType: "application/zstd", Category: "archive", Archive: "zstd"}},
		{"a", []byte("\xfd7zXZ\x00\x00\x04"), shoal.Facts{MediaType: "application/x-xz", Category: "archive", Archive: "xz"}},
		{"a", []byte("7z\xbc\xaf\x27\x1c\x00\x04"), shoal.Facts{MediaType: "application/x-7z-compressed", Category: "archive", Archive: "7z"}},
		{"a", []byte("\x04\x22\x4d\x18\x60\x40\x82"), shoal.Facts{MediaType: "application/x-lz4", Category: "archive", Archive: "lz4"}},
		{"a", []byte("%PDF-1.7\n"), shoal.Facts{MediaType: "application/pdf", Category: "document"}},
		{"a.iso", make([]byte, 4000), shoal.Facts{MediaType: "application/x-iso9660-image", Category: "archive", Archive: "iso9660"}},
	} {
		c.want.State = shoal.Known
		if got := of(c.name, c.content); got != c.want {
			t.Errorf("%s, %.20q:\n got %+v\nwant %+v", c.name, c.content, got, c.want)
		}
	}
}

func TestWithoutContentTheNameDecides(t *testing.T) {
	for name, want := range map[string]shoal.Facts{
		"a.PNG":  {MediaType: "image/png", Category: "image"},
		"a.zip":  {MediaType: "application/zip", Category: "archive", Archive: "zip"},
		"a.txt":  {MediaType: "text/plain", Category: "text"},
		"a.docx": {MediaType: "application/vnd.openxmlformats-officedocument.wordprocessingml.document", Category: "document"},
		"a.exe":  {MediaType: "application/vnd.microsoft.portable-executable", Category: "executable"},
		"a":      {MediaType: "application/octet-stream", Category: "data"},
		".":      {MediaType: "application/octet-stream", Category: "data"},
	} {
		want.State = shoal.Known
		if got := Of(shoal.Name(name), 1000, nil); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
}

// Images are read by hand; what the standard library reads must come out the same.
func TestDimensionsAreThoseOfTheLibrary(t *testing.T) {
	for _, size := range [][2]int{{2, 2}, {640, 480}, {1, 3000}, {5000, 2}} {
		m := picture(size[0], size[1])
		for format, content := range map[string][]byte{
			"png":  pngOf(t, size[0], size[1]),
			"gif":  encoded(t, func(b *bytes.Buffer) error { return gif.Encode(b, m, nil) }),
			"jpeg": encoded(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, m, nil) }),
		} {
			config, found, err := image.DecodeConfig(bytes.NewReader(content))
			if err != nil || found != format {
				t.Fatal(found, err)
			}
			got := of("a", content)
			if got.MediaType != "image/"+format || int(got.Width) != config.Width || int(got.Height) != config.Height {
				t.Errorf("%s %v: %+v", format, size, got)
			}
		}
	}
}

func TestDimensionsOfOtherImages(t *testing.T) {
	bmp := "BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\x80\x02\x00\x00\x20\xfe\xff\xff\x01\x00\x18\x00"
	for _, c := range []struct {
		content       string
		width, height uint32
	}{
		{bmp, 640, 480}, // from top to bottom
		{"RIFF\x1a\x00\x00\x00WEBPVP8 \x0e\x00\x00\x00\x30\x01\x00\x9d\x01\x2a\x80\x02\xe0\x01\x00\x00", 640, 480},
		{"RIFF\x1a\x00\x00\x00WEBPVP8L\x0e\x00\x00\x00\x2f\x7f\xc2\x77\x00\x00\x00", 640, 480},
		{"RIFF\x1a\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x10\x00\x00\x00\x7f\x02\x00\xdf\x01\x00", 640, 480},
		{"8BPS\x00\x01\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x01\xe0\x00\x00\x02\x80\x00\x08\x00\x03", 640, 480},
		{"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x00\x00\x00\x00\x05", 0, 0},
		{"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xff\xff\xff\x00\x00\x00\x05", 0, 0},
		{"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x07\x00\x00", 0, 0},
	} {
		if got := of("a", []byte(c.content)); got.Category != "image" || got.Width != c.width || got.Height != c.height {
			t.Errorf("%.40q: %+v", c.content, got)
		}
	}
}

func TestPlatforms(t *testing.T) {
	pe := func(machine, subsystem string) string {
		b := make([]byte, 0x40+24+70)
		copy(b, "MZ")
		b[0x3c] = 0x40
		copy(b[0x40:], "PE\x00\x00"+machine)
		copy(b[0x40+24+68:], subsystem)
		return string(b)
	}
	for _, c := range []struct{ content, want string }{
		{"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00", "linux/amd64"},
		{"\x7fELF\x02\x01\x01\x03\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\xb7\x00", "linux/arm64"},
		{"\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00", "linux/arm"},
		{"\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16", "linux/s390x"},
		{"\x7fELF\x02\x01\x01\x09\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00", "freebsd/amd64"},
		{"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xff\xff", "linux"},
		{"\x7fELF\x02\x01\x01\x77\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00", ""},
		{"\x7fELF\x02\x01\x01\x00", ""},
		{pe("\x64\x86", "\x03\x00"), "windows/amd64"},
		{pe("\x64\xaa", "\x02\x00"), "windows/arm64"},
		{pe("\x4c\x01", "\x0a\x00"), "efi/386"},
		{"MZ" + strings.Repeat("\x00", 100), "dos"},
		{"MZ" + strings.Repeat("\x00", 0x3a) + "\xff\xff\xff\x7f", ""},
		{"MZ" + strings.Repeat("\x00", 0x3a) + "\xff\xff\xff\xff" + strings.Repeat("\x00", 100), ""},
		{"\xcf\xfa\xed\xfe\x0c\x00\x00\x01\x00\x00\x00\x00\x02\x00\x00\x00", "darwin/arm64"},
		{"\xfe\xed\xfa\xce\x00\x00\x00\x12\x00\x00\x00\x00\x02\x00\x00\x00", "darwin/ppc"},
		{"\xca\xfe\xba\xbe\x00\x00\x00\x02\x01\x00\x00\x07" + strings.Repeat("\x00", 16) + "\x01\x00\x00\x0c" + strings.Repeat("\x00", 16), "darwin/amd64+arm64"},
		{"\xca\xfe\xba\xbe\x00\x00\x00\x41\x00\x10", "jvm"},
		{"\x00asm\x01\x00\x00\x00", "wasm"},
	} {
		if got := of("a", []byte(c.content)); got.Platform != c.want {
			t.Errorf("%.24q: %+v, want %q", c.content, got, c.want)
		}
	}
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := of("a.jpg", program), runtime.GOOS+"/"+runtime.GOARCH; got.Platform != want || got.Category != "executable" {
		t.Errorf("this test program is %+v, not for %s", got, want)
	}
}

// FuzzFacts looks for panics, and for facts that would not pass.
func FuzzFacts(f *testing.F) {
	for _, s := range []string{
		"", "text", "{}", "MZ", "\x7fELF", "\xca\xfe\xba\xbe\x00\x00\x00\x02", "\xff\xd8\xff\xe0\x00\x02\xff\xc0\x00\x11\x08\x00\x01\x00\x02",
		"GIF89a\x01\x00\x02\x00", "BM", "PK\x03\x04", "<?xml version='1.0'?><svg/>", "<html>", "RIFF\x00\x00\x00\x00WEBPVP8X",
		"\x00\x00\x00\x18ftypmp42", "ID3\x04", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "\xff\xfe", "BEGIN:VCARD\n", "a,b\n1,2\n", "d8:announce", "x\x9c",
	} {
		f.Add("a.txt", int64(len(s)), []byte(s))
		f.Add("a.docx", int64(1<<40), []byte(s))
	}
	f.Fuzz(func(t *testing.T, name string, size int64, head []byte) {
		bounds.Hold(t, len(name)+len(head), func() {
			got := Of(shoal.Name(name), size, head)
			if err := got.Validate(); err != nil {
				t.Error(err)
			}
			if got.State != shoal.Known || got.MediaType == "" || got.Category == "" || (got.Width == 0) != (got.Height == 0) {
				t.Errorf("%+v", got)
			}
		})
	})
}

// TestNamesAreKnown checks that every name in the table leads to a category of its own, or is data on purpose.
func TestNamesAreKnown(t *testing.T) {
	for ending, n := range names {
		if ending != strings.ToLower(ending) || !strings.HasPrefix(ending, ".") || !strings.Contains(n.mediaType, "/") {
			t.Errorf("%s: %+v", ending, n)
		}
		if got := Of(shoal.Name("a"+ending), 1, nil); got.MediaType != n.mediaType {
			t.Errorf("%s: %+v", ending, got)
		}
	}
}

func BenchmarkFacts(b *testing.B) {
	random := make([]byte, shoal.MaxHead)
	rand.NewChaCha8([32]byte{1}).Read(random)
	for name, head := range map[string][]byte{
		"random": random,
		"text":   bytes.Repeat([]byte("Some words, and then a few more of them.\n"), 80)[:shoal.MaxHead],
		"json":   []byte(`{"a": [` + strings.Repeat("[1, {}], ", 330) + "1"),
		"zeros":  make([]byte, shoal.MaxHead),
		"deep":   bytes.Repeat([]byte(`{"a":[`), shoal.MaxHead/6),
		"markup": bytes.Repeat([]byte("<?xml a=b "), shoal.MaxHead/10),
		"quotes": bytes.Repeat([]byte(`"",`), shoal.MaxHead/3),
		"frames": bytes.Repeat([]byte("\xff\xfb\x90\x00"), shoal.MaxHead/4),
		"zip":    bytes.Repeat([]byte("PK\x03\x04"), shoal.MaxHead/4),
		"jpeg":   bytes.Repeat([]byte("\xff\xd8\xff\xe0\x00\x00"), shoal.MaxHead/6),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Of("a.txt", 1<<20, head)
			}
		})
	}
}
