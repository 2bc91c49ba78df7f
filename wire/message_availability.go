package wire

import (
	"errors"
	"fmt"

	"shoal"
	"shoal/xdr"
)

// check refuses a bitfield that does not go with the number of pieces (rule S11).
func (o *Offer) check() error {
	all := o.Swarm.Object.Pieces()
	switch {
	case o.Pieces == 0 || int64(o.Pieces) >= int64(all): // more is refused by the one who is asked (rule S6)
		if len(o.Bitfield) > 0 {
			return fmt.Errorf("a bitfield beside %d of %d pieces", o.Pieces, all)
		}
	case !o.Bitfield.Fits(all):
		return fmt.Errorf("a bitfield that does not fit %d pieces", all)
	case o.Bitfield.Count() != int(o.Pieces):
		return fmt.Errorf("a bitfield of %d pieces, where there are %d", o.Bitfield.Count(), o.Pieces)
	}
	return nil
}

func appendAvailability(b []byte, a shoal.Availability) []byte {
	b = xdr.AppendUint32(b, a.Whole)
	b = xdr.AppendUint32(b, a.Partial)
	b = xdr.AppendUint32(b, a.Least)
	return xdr.AppendUint32(b, a.Above)
}

func availability(d *xdr.Decoder, of shoal.Object) shoal.Availability {
	a := shoal.Availability{Whole: d.Uint32(), Partial: d.Uint32(), Least: d.Uint32(), Above: d.Uint32()}
	if d.Err() == nil {
		check(d, "S12", a.Check(of))
	}
	return a
}

func appendSpans(b []byte, spans []shoal.Span) []byte {
	b = xdr.AppendUint32(b, uint32(len(spans)))
	for _, s := range spans {
		b = xdr.AppendUint32(xdr.AppendUint32(b, s.First), s.Count)
	}
	return b
}

// missing reads the pieces of an object that no source has.
func missing(d *xdr.Decoder, of shoal.Object, a shoal.Availability) []shoal.Span {
	spans := make([]shoal.Span, d.Count(MaxMissing, 4+4))
	for i := range spans {
		spans[i] = shoal.Span{First: d.Uint32(), Count: d.Uint32()}
	}
	if d.Err() == nil && len(spans) > 0 {
		check(d, "S13", checkMissing(spans, of, a))
	}
	return spans
}

func checkMissing(spans []shoal.Span, of shoal.Object, a shoal.Availability) error {
	if a.Least > 0 {
		return errors.New("pieces that nobody has, where somebody has each")
	}
	told, err := shoal.CheckSpans(spans, of)
	if err != nil {
		return err
	}
	if all := of.Pieces() - int(a.Above); told > all || told < all && len(spans) < MaxMissing {
		return fmt.Errorf("%d pieces that nobody has, where %d are missing", told, all)
	}
	return nil
}
