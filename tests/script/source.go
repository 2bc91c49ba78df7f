package script

import (
	"context"
	"io"
	"time"

	"shoal"
	"shoal/wire"
)

// handle is the one that a Source gives.
const handle = 1

// Source answers as a peer should that has all of an object. What it is to do otherwise, whoever has it answers in its place.
// For concurrent use.
type Source struct {
	Object   shoal.Object
	Manifest *shoal.Manifest
	Content  io.ReaderAt
}

// Answer returns what goes onto the connection for a frame; nil for nothing. The error is io.EOF for a goodbye.
func (s *Source) Answer(f wire.Frame) ([]byte, error) {
	switch f.Kind {
	case wire.KindPing, wire.KindLeave, wire.KindRenew:
		return wire.AppendReply(nil, f.Kind, f.ID, &wire.Empty{}), nil
	case wire.KindJoin:
		return wire.AppendReply(nil, f.Kind, f.ID, &wire.JoinReply{Handle: handle, Whole: true}), nil
	case wire.KindManifest:
		return wire.AppendReply(nil, f.Kind, f.ID, &wire.ManifestReply{Manifest: *s.Manifest}), nil
	case wire.KindHashes:
		var m wire.HashesRequest
		if err := wire.Decode(f.Body, &m); err != nil {
			return nil, err
		}
		_, length := s.Object.PieceRange(int(m.Piece))
		data, err := s.Bytes(wire.Request{Piece: m.Piece, Length: uint32(length)})
		if err != nil {
			return nil, err
		}
		return wire.AppendReply(nil, f.Kind, f.ID, &wire.HashesReply{Values: shoal.BlockValues(s.Object, int(m.Piece), data)}), nil
	case wire.KindRequest:
		var m wire.Request
		if err := wire.Decode(f.Body, &m); err != nil {
			return nil, err
		}
		data, err := s.Bytes(m)
		return Piece(f.ID, m, data), err
	case wire.KindBye:
		return nil, io.EOF
	}
	return nil, nil // CANCEL and the like
}

// Bytes are those that a request asks for.
func (s *Source) Bytes(m wire.Request) ([]byte, error) {
	offset, _ := s.Object.PieceRange(int(m.Piece))
	data := make([]byte, m.Length)
	n, err := s.Content.ReadAt(data, offset+int64(m.Begin))
	if n == len(data) {
		err = nil
	}
	return data, err
}

// Piece answers a request by these bytes, whether they are right or not.
func Piece(id uint32, m wire.Request, data []byte) []byte {
	return append(wire.AppendPieceHead(nil, id, wire.PieceHead{Piece: m.Piece, Begin: m.Begin}, uint32(len(data))), data...)
}

// Converse answers frames by what answer says, until the connection ends or answer does. It returns why.
func Converse(c *wire.Conn, answer func(wire.Frame) ([]byte, error)) error {
	for {
		f, err := c.ReadFrame()
		if err != nil {
			return err
		}
		reply, err := answer(f)
		if err != nil {
			return err
		}
		if _, err := c.Write(reply); err != nil {
			return err
		}
	}
}

// Trickle writes a byte each time that the pause is over, until all have been written, the connection ends or ctx does. It
// returns how many were.
func Trickle(ctx context.Context, w io.Writer, b []byte, pause time.Duration) (written int, err error) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for written < len(b) {
		n, err := w.Write(b[written : written+1])
		if written += n; err != nil {
			return written, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return written, context.Cause(ctx)
		}
	}
	return written, nil
}
