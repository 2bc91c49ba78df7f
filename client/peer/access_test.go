package peer

import (
	"os"
	"slices"
	"testing"

	"shoal"
	"shoal/client/tickets/ticketstest"
	"shoal/wire"
	"shoal/wire/spec"
)

// Whoever has no ticket is answered as the protocol's table says, by every request that a peer serves.
func TestWhoMayAskAPeer(t *testing.T) {
	s, err := spec.Load(os.DirFS("../../wire"))
	must(t, err)
	f := place(t, random(pieceLength, 93))
	o := ticketstest.New(t)
	r := guarded(t, o)
	r.Shelf.Put(inLab(f), f)
	c := r.pipe(0)
	requests := map[string]wire.Message{
		"JOIN": &wire.Join{Swarm: inLab(f)}, "LEAVE": &wire.Leave{Handle: 1}, "MANIFEST": &wire.ManifestRequest{Handle: 1},
		"HASHES": &wire.HashesRequest{Handle: 1}, "REQUEST": &wire.Request{Handle: 1, Length: 1}, "RENEW": &wire.Renew{Handle: 1},
		"EXCHANGE": &wire.Exchange{Handle: 1, Most: 1},
	}
	for _, k := range s.Kinds {
		if k.To != "peer" {
			continue
		}
		i := slices.IndexFunc(s.Access, func(a spec.Access) bool { return a.Kind == k.Name })
		for _, asker := range []spec.Asker{"nobody's", "user", "admin"} {
			if answer := s.Access[i].Answers[asker]; answer.Code != shoal.NotFound.Error() {
				t.Errorf("%s of %s is answered by %+v", k.Name, asker, answer)
			}
		}
		m := requests[k.Name]
		if m == nil {
			t.Errorf("%s is in the table, and not tested", k.Name)
			continue
		}
		c.Refusal(c.Ask(wire.Kind(k.Number), m), wire.Kind(k.Number), shoal.NotFound)
	}
}
