package peer

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/client/tickets/ticketstest"
	"shoal/identity"
	"shoal/wire"
)

// inExchange runs a test in a world whose transfer exchanges records by an office.
func inExchange(t *testing.T, pieces int, do func(t *testing.T, w *world, o *ticketstest.Office, wish func(...*scripted) Transfer)) {
	t.Helper()
	within(t, pieces, func(t *testing.T, w *world) {
		o := ticketstest.New(t)
		_, keeper, exchange := ofRealm(o, w.pool.key, at(0))
		do(t, w, o, func(sources ...*scripted) Transfer {
			tr := w.transfer(sources...)
			tr.Swarm, tr.Tickets, tr.Exchange = inLab(w.file), keeper, exchange
			return tr
		})
		exchange.Close()
		keeper.Wait()
	})
}

// passing answers EXCHANGE by records, and blocks once a second.
func passing(records func(*wire.Exchange) [][]byte) answerer {
	return func(s *scripted, _ *identity.Established, f wire.Frame) ([]byte, bool) {
		switch f.Kind {
		case wire.KindRenew:
			return wire.AppendReply(nil, f.Kind, f.ID, &wire.Empty{}), true
		case wire.KindExchange:
			var m wire.Exchange
			must(s.t, wire.Decode(f.Body, &m))
			return wire.AppendReply(nil, f.Kind, f.ID, &wire.ExchangeReply{Records: records(&m)}), true
		case wire.KindRequest:
			time.Sleep(time.Second)
		}
		return nil, false
	}
}

// record is that of a scripted source.
func (s *scripted) record(o *ticketstest.Office) []byte {
	return o.Record(s.key, nil, identity.Candidate{Security: wire.Plaintext, Addr: s.address})
}

// A source names others, which are asked, too, as well as if a server had named them, and each once, whatever it is known by.
func TestTransferMeetsOthers(t *testing.T) {
	inExchange(t, 60, func(t *testing.T, w *world, o *ticketstest.Office, wish func(...*scripted) Transfer) {
		other := w.script(passing(func(*wire.Exchange) [][]byte { return nil }))
		var asked []wire.Exchange
		began := time.Now()
		known := w.script(passing(func(m *wire.Exchange) [][]byte {
			asked = append(asked, wire.Exchange{Most: m.Most, Record: slices.Clone(m.Record)})
			return [][]byte{other.record(o), other.record(o), o.Record(w.pool.key, nil, other.found().Addresses...)}
		}))
		time.AfterFunc(10*time.Second, func() { w.know(other); w.know(known) }) // by their sessions
		st := w.fetch(wish(known))
		if share(st, other).Bytes == 0 || other.joins != 1 || known.joins != 1 || len(st.Sources) != 2 {
			t.Errorf("joined %d times, of %+v", other.joins, st.Sources)
		}
		told := false
		if most := 1 + int(time.Since(began)/exchangeEvery); len(asked) > most {
			t.Errorf("asked %d times, where %d are allowed", len(asked), most)
		}
		for _, m := range asked {
			if m.Most != wire.MaxRecords {
				t.Errorf("%d records are asked for", m.Most)
			}
			if len(m.Record) > 0 {
				_, err := o.Authority().VerifyRecord(m.Record, identity.Demand{Group: ticketstest.Lab, Rights: identity.MayOffer, Now: time.Now(), Reachable: true})
				must(t, err)
				told = true
			}
		}
		if !told {
			t.Error("nobody is told where the pieces are served that have come")
		}
	})
	// From one device alone is from no other.
	inExchange(t, 8, func(t *testing.T, w *world, o *ticketstest.Office, wish func(...*scripted) Transfer) {
		other := w.script(nil)
		known := w.script(passing(func(m *wire.Exchange) [][]byte {
			if m.Most != 0 {
				t.Errorf("%d records are asked for", m.Most)
			}
			return nil
		}))
		tr := wish(known)
		from := known.key.Device()
		tr.From = &from
		must(t, tr.Exchange.Learn(tr.Swarm, other.record(o), nil))
		w.fetch(tr)
		if other.joins > 0 {
			t.Error("another is asked")
		}
	})
}

// Records that do not count bring nobody in, and those that nobody can have verified end the connection.
func TestTransferOfBadRecords(t *testing.T) {
	for name, c := range map[string]struct {
		records func(o *ticketstest.Office, other *scripted) [][]byte
		ends    string // the reason for which the connection does
	}{
		"another realm's": {func(_ *ticketstest.Office, other *scripted) [][]byte {
			return [][]byte{other.record(ticketstest.New(other.t))}
		}, ""},
		"expired": {func(o *ticketstest.Office, other *scripted) [][]byte {
			return [][]byte{o.Record(other.key, ticketstest.Ago(time.Hour), other.found().Addresses...)}
		}, ""},
		"another group's": {func(o *ticketstest.Office, other *scripted) [][]byte {
			return [][]byte{o.Record(other.key, func(t *identity.Ticket) { t.Group = "other" }, other.found().Addresses...)}
		}, ""},
		"over TLS": {func(o *ticketstest.Office, other *scripted) [][]byte {
			return [][]byte{o.Record(other.key, nil, identity.Candidate{Security: wire.TLS, Addr: other.address})}
		}, ""},
		"forged": {func(o *ticketstest.Office, other *scripted) [][]byte {
			b := other.record(o)
			b[len(b)-1] ^= 1
			return [][]byte{b}
		}, "rule P26"},
		"nonsense": {func(*ticketstest.Office, *scripted) [][]byte { return [][]byte{[]byte("come here")} }, "rule P26"},
		"more than the whole reply can have": {func(o *ticketstest.Office, other *scripted) (all [][]byte) {
			for range wire.MaxRecords + 1 {
				all = append(all, other.record(o))
			}
			return all
		}, "rule X2"},
	} {
		t.Run(name, func(t *testing.T) {
			inExchange(t, 8, func(t *testing.T, w *world, o *ticketstest.Office, wish func(...*scripted) Transfer) {
				other, reasons := w.script(nil), ""
				known := w.script(passing(func(*wire.Exchange) [][]byte { return c.records(o, other) }))
				tr := wish(known)
				tr.Report = func(st Status) { reasons += share(st, known).Reason + "\n" }
				f, err := tr.Run(w.ctx)
				if c.ends == "" || err == nil {
					must(t, err)
					must(t, f.Close())
				}
				if other.joins > 0 {
					t.Error("it is believed")
				}
				if !strings.Contains(reasons, c.ends) || c.ends == "" && strings.TrimSpace(reasons) != "" {
					t.Errorf("the reasons are %q", strings.TrimSpace(reasons))
				}
			})
		})
	}
}

// A transfer takes so many sources by their records and no more.
func TestTransferMeetsNotEverybody(t *testing.T) {
	inExchange(t, 60, func(t *testing.T, w *world, o *ticketstest.Office, wish func(...*scripted) Transfer) {
		n := 0
		known := w.script(passing(func(m *wire.Exchange) (all [][]byte) {
			for range m.Most { // nobody is there
				n++
				all = append(all, o.Record(identity.NewKey(), nil, at(n)))
			}
			return all
		}))
		tr := wish(known)
		st := w.fetch(tr)
		if len(st.Sources) < 20 || len(st.Sources) > mostRecords+1 {
			t.Errorf("%d sources", len(st.Sources))
		}
	})
}

// Without a server, each knowing one other at most, and the only seed gone before anybody has everything, all find each other
// and finish; hours later, too, when all that was signed at the beginning has expired.
func TestSwarmOutlivesServer(t *testing.T) {
	const peers, pieces, rate = 5, 24, 256 << 10
	for name, away := range map[string]time.Duration{"at once": 0, "for hours": 3 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			f := place(t, random(pieces*pieceLength, 94))
			synctest.Test(t, func(t *testing.T) {
				o := ticketstest.New(t)
				m := newMeshOf(t, peers+1, o)
				for _, nd := range m.nodes {
					nd.server.Up.Set(rate)
					nd.server.Exchange.Use(ticketstest.Lab)
				}
				synctest.Wait() // everybody has a ticket
				m.down.Store(true)
				o.Up.Store(false)
				time.Sleep(away)
				seed := m.nodes[0]
				seed.server.Shelf.Put(inLab(f), f)
				var run sync.WaitGroup
				for _, nd := range m.nodes[1:] {
					run.Go(func() { nd.fetch(inLab(f), seed.source()) })
				}
				for m.held(inLab(f), m.nodes[1:]) < f.Object().Pieces() {
					time.Sleep(50 * time.Millisecond)
				}
				seed.kill()
				run.Wait()
				for _, nd := range m.nodes[1:] {
					if it := nd.server.Shelf.find(inLab(f)); it == nil || !it.content.Whole() {
						t.Error("a download is not served on")
					}
				}
			})
		})
	}
}

// held is how many pieces some nodes have between them.
func (m *mesh) held(sw shoal.Swarm, nodes []*node) (pieces int) {
	for i := range sw.Object.Pieces() {
		if slices.ContainsFunc(nodes, func(nd *node) bool { return nd.has(sw, i) }) {
			pieces++
		}
	}
	return pieces
}

func (nd *node) has(sw shoal.Swarm, piece int) bool {
	it := nd.server.Shelf.find(sw)
	if it == nil {
		return false
	}
	content, err := it.current()
	return err == nil && content.Has(piece)
}

// Where only so many may be connected, the worst makes room now and then for one that nobody has tried.
func TestTheWorstIsReplaced(t *testing.T) {
	within(t, 17, func(t *testing.T, w *world) {
		w.pool.Down = new(Limit)
		w.pool.Down.Set(fewPeers * leastShare)
		slow := onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			time.Sleep(time.Duration(m.Length) * time.Second / 4096)
			return s.block(id, m, s.bytes(m))
		})
		var sources []*scripted
		for range fewPeers {
			sources = append(sources, w.script(slow))
		}
		good := w.script(nil)
		began := time.Now()
		st := w.fetch(w.transfer(append(sources, good)...))
		if took := time.Since(began); good.joins != 1 || share(st, good).Bytes < st.Size/2 || took < 20*time.Second || took > 2*time.Minute {
			t.Errorf("after %v: %+v", took, st.Sources)
		}
	})
}
