package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client"
	"shoal/server"
)

// lab is a world with people in it. Ann owns the group lab, and is its first member.
type lab struct{ *world }

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{newWorld(t)}
	l.person("ann", "ann", "ann-other")
	l.shoal("ann", "group", "create", "lab").ok()
	return l
}

// person makes a user, who has these devices.
func (l *lab) person(name string, devices ...string) {
	l.Helper()
	state := l.path("state", "server")
	if err := server.CreateUser(l.Context(), state, server.Etcd{}, name, []byte("correct horse battery staple"), zerolog.Nop()); err != nil {
		l.Fatal(err)
	}
	for _, d := range devices {
		l.once(l.serves+l.device(d).String(), func() error {
			return server.AddDevice(l.Context(), state, server.Etcd{}, name, l.device(d), "", zerolog.Nop())
		})
	}
}

// member is a person who is in the group.
func (l *lab) member(name string, devices ...string) {
	l.Helper()
	l.person(name, devices...)
	l.shoal(devices[0], "group", "join", "lab").ok()
	l.shoal("ann", "group", "accept", "lab", name).ok()
}

// device is the public key of the device with that state.
func (l *lab) device(state string) shoal.DeviceID {
	l.Helper()
	d, err := client.Device(l.path("state", state))
	if err != nil {
		l.Fatal(err)
	}
	return d
}

// share has a peer publish content in the group.
func (l *lab) share(p *peer, name string, content []byte) event {
	l.Helper()
	path := l.path("files", p.state, name)
	write(l.T, path, content)
	return l.shoal(p.state, "publish", "--json", "--group", "lab", path).ok().event("published")
}

// fetching is a download of lab/file on an island.
type fetching struct {
	*process
	state  string
	out    string
	server *link  // to the server
	source *link  // to the one source
	hurry  func() // ends what slows it down
}

// fetch starts a download of lab/file by a device, of which n bytes may come, and returns when they have.
func (l *lab) fetch(state string, source *peer, n int64) *fetching {
	l.Helper()
	address := l.address
	l.address = ""
	island := newIsland(l.world)
	l.address = address
	f := &fetching{state: state, server: island.link(address), source: island.link(source.address)}
	f.server.open()
	f.source.allow(n)
	f.out = l.folder("got", state) + "/file"
	f.process = island.get(state, "lab/file", "-o", f.out)
	eventually(l.T, f.source.isSpent)
	if f.hasEnded() {
		l.Fatal("the download is over already")
	}
	return f
}

// trickle lets a link carry so many bytes a second more, until stop is called.
func (l *link) trickle(perSecond int64) (stop func()) {
	const every = 20 * time.Millisecond
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.mu.Lock()
				// What was not used does not add up.
				l.allowed = l.carried.Load() + perSecond*int64(every)/int64(time.Second)
				l.change.Broadcast()
				l.mu.Unlock()
			case <-end:
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(end); <-ended })
}

// freeze lets nothing more come.
func (l *link) freeze() { l.allow(l.carried.Load()) }

// flows waits until more has come than at this time.
func (l *link) flows(t *testing.T) {
	t.Helper()
	before := l.carried.Load()
	eventually(t, func() error {
		if got := l.carried.Load(); got <= before {
			return fmt.Errorf("%d bytes have come from %s", got, l.target)
		}
		return nil
	})
}
