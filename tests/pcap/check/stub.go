package check

import (
	"shoal"
	"shoal/wire"
)

// Handle is a swarm that a connection has joined.
type Handle struct {
	Number uint32
	Swarm  shoal.Swarm
}

type (
	serverSide struct{}
	peerSide   struct{}
	peerAsk    struct{}
)

func (c *Conn) forgetPieces()                             {}
func (c *Conn) block(*Frame, []byte)                      {}
func (c *Conn) beginBlock(*Frame)                         {}
func (c *Conn) loseBlock(*Frame, int)                     {}
func (c *Conn) checkCode(*Frame, *wire.ErrorReply)        {}
func (c *Conn) fromPeer(*Frame)                           {}
func (c *Conn) fromServer(*Frame)                         {}
func (c *Conn) toPeer(*Frame)                             {}
func (c *Conn) toServer(*Frame)                           {}
func (c *Conn) peerEvent(*Frame)                          {}
func (c *Conn) serverEvent(*Frame)                        {}
func (c *Conn) checkCandidate(*Frame)                     {}
func (c *Conn) checkCertificate(*Frame, *wire.HelloReply) {}
func (c *Conn) trustRoot(*Frame)                          {}
func (c *Conn) established(*Frame)                        {}
