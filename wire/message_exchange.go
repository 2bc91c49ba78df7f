package wire

import (
	"shoal"
	"shoal/xdr"
)

// Exchange tells where the initiator serves a swarm, and asks where others do.
type Exchange struct {
	Handle uint32
	Most   uint32 // records that the reply may have, at most
	Record []byte // a chain that ends in the initiator's candidates; empty where it serves nothing
}

// ExchangeReply has chains that end in candidates of processes in the swarm.
type ExchangeReply struct{ Records [][]byte }

func (m *Exchange) Append(b []byte) []byte {
	b = xdr.AppendUint32(xdr.AppendUint32(b, m.Handle), m.Most)
	return xdr.AppendOpaque(b, m.Record)
}

func (m *Exchange) decode(d *xdr.Decoder) {
	m.Handle, m.Most = d.Uint32(), d.Uint32()
	if m.Most > MaxRecords {
		check(d, "P23", shoal.Errorf(shoal.BadRequest, "%d records are wanted; at most %d can be", m.Most, MaxRecords))
	}
	m.Record = d.Opaque(MaxStatement)
}

func (m *ExchangeReply) Append(b []byte) []byte {
	b = xdr.AppendUint32(b, uint32(len(m.Records)))
	for _, record := range m.Records {
		b = xdr.AppendOpaque(b, record)
	}
	return b
}

func (m *ExchangeReply) decode(d *xdr.Decoder) {
	m.Records = make([][]byte, d.Count(MaxRecords, 4))
	for i := range m.Records {
		m.Records[i] = d.Opaque(MaxStatement)
	}
}
