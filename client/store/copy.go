package store

import (
	"context"

	"shoal"
)

// Copy makes a file of what is served here, in a folder under a name, as a download of it would be: each piece is verified
// on its way, what is interrupted goes on from there, and the File is whole, synced, and the caller's to close. progress,
// if not nil, is told the number of bytes that are there, and of those the number that were there before.
//
// Errors are those of ResumePart and Finish, and of code Corrupt or Changed when from is not what it should be any more.
func Copy(ctx context.Context, from Content, buffers *Buffers, dir string, name shoal.Name, progress func(held, before int64)) (*File, error) {
	o := from.Object()
	part, err := ResumePart(ctx, dir, name, o, from.Manifest(), nil)
	if err != nil {
		return nil, err
	}
	held := o.Size
	missing := part.Missing()
	for _, i := range missing {
		_, length := o.PieceRange(i)
		held -= length
	}
	before := held
	for _, i := range missing {
		if progress != nil {
			progress(held, before)
		}
		if err = copyPiece(ctx, part, from, buffers, i); err != nil {
			break
		}
		_, length := o.PieceRange(i)
		held += length
	}
	var file *File
	if err == nil {
		file, err = part.Finish()
	}
	// Without a file that is not what failed, and with one nothing is left to be written.
	_ = part.Close()
	return file, err
}

// copyPiece copies one piece, which Part verifies.
func copyPiece(ctx context.Context, to *Part, from Content, buffers *Buffers, i int) error {
	if err := from.Check(); err != nil {
		return err
	}
	offset, length := from.Object().PieceRange(i)
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
		return diskError(err, "reading piece %d of %v", i, from.Object().ID)
	}
	return to.WritePiece(i, buf)
}
