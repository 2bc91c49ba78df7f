package soap

import (
	"bytes"
	"encoding/xml"
	"math"
	"regexp"

	"shoal"
	"shoal/soap/enrichment"
)

// The patterns of the contract. Go's take linear time.
var (
	mediaTypes = regexp.MustCompile(`^[a-z0-9][a-z0-9.+_-]*/[a-z0-9][a-z0-9.+_-]*$`)
	platforms  = regexp.MustCompile(`^[a-z0-9]+(/[a-z0-9]+(\+[a-z0-9]+)*)?$`)
)

// maxPlatform is the longest platform in the contract, in bytes.
const maxPlatform = 64

func checkStamp(r *enrichment.StampResponse, count int) (Stamp, error) {
	if r.Zone == nil || r.First == nil {
		return Stamp{}, untrusted("something is missing")
	}
	// The generated type swallows what is no time, and takes one without an offset for local.
	written, err := xml.Marshal(r.Time)
	if t := bytes.TrimSuffix(written, []byte("</XSDDateTime>")); err != nil || len(t) < 6 || !(t[len(t)-1] == 'Z' || t[len(t)-3] == ':' && (t[len(t)-6] == '+' || t[len(t)-6] == '-')) {
		return Stamp{}, untrusted("its time is none, or has no offset")
	}
	stamp := Stamp{Time: r.Time.ToGoTime(), Zone: string(*r.Zone), First: uint64(*r.First)}
	if year := stamp.Time.UTC().Year(); year < 1970 || year > 9998 {
		return Stamp{}, untrusted("its time is in the year %d", year)
	}
	if stamp.Zone == "" {
		return Stamp{}, untrusted("its time zone has no name")
	}
	if err := checkText(stamp.Zone, MaxZone); err != nil {
		return Stamp{}, untrusted("the name of its time zone: %w", err)
	}
	if stamp.First == 0 || stamp.First > math.MaxUint64-uint64(count) {
		return Stamp{}, untrusted("%d numbers from %d", count, stamp.First)
	}
	return stamp, nil
}

func checkFacts(r *enrichment.EnrichResponse) (shoal.Facts, error) {
	f := shoal.Facts{
		State:     shoal.Known,
		MediaType: string(value(r.MediaType)), Category: string(value(r.Category)), Encoding: string(value(r.Encoding)),
		Width: uint32(value(r.Width)), Height: uint32(value(r.Height)),
		Archive: string(value(r.Archive)), Platform: string(value(r.Platform)),
	}
	switch {
	case len(f.MediaType) > shoal.MaxFact || !mediaTypes.MatchString(f.MediaType):
		return shoal.Facts{}, untrusted("its media type is none")
	case !knownCategory(value(r.Category)):
		return shoal.Facts{}, untrusted("its category is none")
	case r.Encoding != nil && !knownEncoding(*r.Encoding):
		return shoal.Facts{}, untrusted("its encoding is none")
	case r.Archive != nil && !knownArchive(*r.Archive):
		return shoal.Facts{}, untrusted("its kind of archive is none")
	case r.Platform != nil && (len(f.Platform) > maxPlatform || !platforms.MatchString(f.Platform)):
		return shoal.Facts{}, untrusted("its platform is none")
	case (f.Width == 0) != (f.Height == 0) || f.Width == 0 && (r.Width != nil || r.Height != nil):
		return shoal.Facts{}, untrusted("an image without width or height")
	}
	if err := f.Validate(); err != nil {
		return shoal.Facts{}, untrusted("%w", err)
	}
	return f, nil
}

// value is what p points to, or nothing.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func knownCategory(c enrichment.Category) bool {
	switch c {
	case enrichment.CategoryImage, enrichment.CategoryVideo, enrichment.CategoryAudio, enrichment.CategoryText,
		enrichment.CategoryDocument, enrichment.CategoryArchive, enrichment.CategoryExecutable, enrichment.CategoryFont,
		enrichment.CategoryData:
		return true
	}
	return false
}

func knownEncoding(e enrichment.Encoding) bool {
	switch e {
	case enrichment.EncodingUsascii, enrichment.EncodingUtf8, enrichment.EncodingUtf16le, enrichment.EncodingUtf16be,
		enrichment.EncodingUtf32le, enrichment.EncodingUtf32be, enrichment.EncodingIso88591, enrichment.EncodingWindows1252:
		return true
	}
	return false
}

func knownArchive(a enrichment.Archive) bool {
	switch a {
	case enrichment.ArchiveZip, enrichment.ArchiveTar, enrichment.ArchiveGzip, enrichment.ArchiveBzip2, enrichment.ArchiveXz,
		enrichment.ArchiveZstd, enrichment.ArchiveLz4, enrichment.ArchiveLzip, enrichment.ArchiveZlib, enrichment.Archive7z,
		enrichment.ArchiveRar, enrichment.ArchiveCab, enrichment.ArchiveCpio, enrichment.ArchiveAr, enrichment.ArchiveXar,
		enrichment.ArchiveDeb, enrichment.ArchiveRpm, enrichment.ArchiveWarc, enrichment.ArchiveIso9660:
		return true
	}
	return false
}
