package store

import (
	"context"

	"shoal"
)

// Fill copies the wanted pieces that are missing from what is served here, and has them; each is verified on its way.
// progress, if not nil, is told the number of bytes of wanted pieces that are held, and how many of them were before.
//
// Errors are those of WritePiece, and those of code Changed when from is not what it should be any more, Canceled when ctx
// ends. What has been copied is held.
func (p *Part) Fill(ctx context.Context, from Content, buffers *Buffers, progress func(held, before int64)) error {
	missing := p.Missing()
	_, held := p.wantedSpan()
	for _, i := range missing {
		_, length := p.object.PieceRange(i)
		held -= length
	}
	before := held
	for _, i := range missing {
		if progress != nil {
			progress(held, before)
		}
		if err := p.copyPiece(ctx, from, buffers, i); err != nil {
			return err
		}
		_, length := p.object.PieceRange(i)
		held += length
	}
	if progress != nil {
		progress(held, before)
	}
	return nil
}

func (p *Part) copyPiece(ctx context.Context, from Content, buffers *Buffers, i int) error {
	if err := from.Check(); err != nil {
		return err
	}
	offset, length := p.object.PieceRange(i)
	buf, err := buffers.Get(ctx, int(length))
	if err == nil && ctx.Err() != nil { // Get does not look where it need not wait
		buffers.Put(buf)
		err = context.Cause(ctx)
	}
	if err != nil {
		return shoal.Errorf(shoal.Canceled, "copying was stopped (%w); what has come is kept", err)
	}
	defer buffers.Put(buf)
	if _, err := from.ReadAt(buf, offset); err != nil {
		return diskError(err, "reading piece %d of %v", i, p.object.ID)
	}
	return p.WritePiece(i, buf)
}
