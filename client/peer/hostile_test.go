package peer

import (
	"net"
	"testing"

	"shoal/identity"
	"shoal/tests/script"
	"shoal/wire"
)

// Whatever is done to a peer that nobody may do ends that connection and nothing else.
func TestHostileInitiators(t *testing.T) {
	script.Start(func(t *testing.T, over identity.Transport, l net.Listener) {
		r := newRig(t, over)
		r.run.Go(func() { must(t, r.Run(r.ctx, l)) })
	}).Withstand(t, wire.ServicePeer)
}
