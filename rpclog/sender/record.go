package sender

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"shoal/xdr"
)

// A record of the spool is a batch:
//
//	u32 bytes of the body | u32 CRC-32C of the body | body: device, process, first, count, lines, lost, entries
//
// in XDR (RFC 4506). The batch is sealed when it is sent: the key may be another one by then.
const (
	recordHead = 4 + 4
	batchHead  = 32 + 8 + 8 + 4 + 8 + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errTorn says that a record is not whole, or not what was written.
var errTorn = errors.New("a record is damaged")

// size is what the batch takes in the spool, in bytes.
func (b *batch) size() int64 { return int64(recordHead + batchHead + len(b.entries)) }

func appendRecord(to []byte, b *batch) []byte {
	start := len(to)
	to = append(to, make([]byte, recordHead)...)
	to = xdr.AppendFixed(to, b.sender.Device[:])
	to = xdr.AppendUint64(to, b.sender.Process)
	to = xdr.AppendUint64(to, b.first)
	to = xdr.AppendUint32(to, b.count)
	to = xdr.AppendUint64(to, b.lines)
	to = xdr.AppendUint64(to, b.lost)
	to = append(to, b.entries...)
	body := to[start+recordHead:]
	binary.BigEndian.PutUint32(to[start:], uint32(len(body)))
	binary.BigEndian.PutUint32(to[start+4:], crc32.Checksum(body, castagnoli))
	return to
}

// readRecord reads the record at an offset of a file whose good part ends at end. The error is errTorn where there is no
// whole one.
func readRecord(f io.ReaderAt, at, end int64) (*batch, error) {
	var head [recordHead]byte
	if at+recordHead > end {
		return nil, errTorn
	}
	if _, err := f.ReadAt(head[:], at); err != nil {
		return nil, readError(err)
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	if size < batchHead || size > batchHead+maxBatch || at+recordHead+size > end {
		return nil, errTorn
	}
	body := make([]byte, size)
	if _, err := f.ReadAt(body, at+recordHead); err != nil {
		return nil, readError(err)
	}
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return nil, errTorn
	}
	return decodeBatch(body)
}

func decodeBatch(body []byte) (*batch, error) {
	d := xdr.NewDecoder(body[:batchHead])
	b := &batch{entries: body[batchHead:]}
	copy(b.sender.Device[:], d.Fixed(len(b.sender.Device)))
	b.sender.Process = d.Uint64()
	b.first = d.Uint64()
	b.count = d.Uint32()
	b.lines = d.Uint64()
	b.lost = d.Uint64()
	if d.Finish() != nil || b.count == 0 || b.first == 0 || b.last() < b.first {
		return nil, errTorn
	}
	return b, nil
}

func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}
