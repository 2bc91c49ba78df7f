package wire

import (
	"shoal"
	"shoal/xdr"
)

// minFacts is what Facts take at least, in bytes; and what they take where nothing is told.
const minFacts = 8 * 4

var nothingTold [minFacts]byte

func appendFacts(b []byte, f *shoal.Facts) []byte {
	if f == nil {
		return append(b, nothingTold[:]...)
	}
	if f.State < shoal.Known { // most of them, where facts are not asked for
		b = append(b, nothingTold[:]...)
		b[len(b)-minFacts+3] = byte(f.State)
		return b
	}
	b = xdr.AppendUint32(b, uint32(f.State))
	b = xdr.AppendString(b, f.MediaType)
	b = xdr.AppendString(b, f.Category)
	b = xdr.AppendString(b, f.Encoding)
	b = xdr.AppendUint32(b, f.Width)
	b = xdr.AppendUint32(b, f.Height)
	b = xdr.AppendString(b, f.Archive)
	return xdr.AppendString(b, f.Platform)
}

func facts(d *xdr.Decoder) (f shoal.Facts) {
	f.State = shoal.FactsState(enumFrom(d, "facts_state", 0, uint32(shoal.Withheld)))
	f.MediaType = text(d, shoal.MaxFact)
	f.Category = text(d, shoal.MaxFact)
	f.Encoding = text(d, shoal.MaxFact)
	f.Width = d.Uint32()
	f.Height = d.Uint32()
	f.Archive = text(d, shoal.MaxFact)
	f.Platform = text(d, shoal.MaxFact)
	check(d, "S9", f.Validate())
	return f
}
