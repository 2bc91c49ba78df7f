package script

import (
	"encoding/binary"
	"slices"

	"shoal"
	"shoal/wire"
)

// Misbehaviour is frames that an initiator may not send once the handshake is over. The connection must end with a BYE of
// code bad-request whose text names the rule (rule F7).
type Misbehaviour struct {
	Name   string
	Rule   string
	Frames []byte
}

// Header is that of a frame, as wrong as it may be.
func Header(length uint32, kind wire.Kind, flags wire.Flags, id uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint16(b, uint16(kind))
	b = binary.BigEndian.AppendUint16(b, uint16(flags))
	return binary.BigEndian.AppendUint32(b, id)
}

// raw is a request of id 9 with a body made by hand.
func raw(kind wire.Kind, body ...byte) []byte {
	return append(Header(uint32(len(body)), kind, 0, 9), body...)
}

func request(kind wire.Kind, m wire.Message) []byte { return wire.AppendRequest(nil, kind, 9, m) }

func event(kind wire.Kind, m wire.Message) []byte { return wire.AppendEvent(nil, kind, m) }

// Misbehaviours are what nobody may do to a service.
func Misbehaviours(to wire.Service) []Misbehaviour {
	if to == wire.ServiceServer {
		return slices.Concat(toAnybody, toServer)
	}
	return slices.Concat(toAnybody, toPeer)
}

var toAnybody = []Misbehaviour{
	{"PING with a body", "F1", append(Header(4, wire.KindPing, 0, 9), 0, 0, 0, 0)},
	{"BYE over its limit", "F1", Header(1033, wire.KindBye, 0, 0)},
	{"an error over its limit", "F1", Header(1033, wire.KindPing, wire.FlagReply|wire.FlagError, 9)},
	{"4 GiB", "F1", Header(1<<32-1, wire.KindAuth, 0, 9)},
	{"kind 0", "F2", Header(0, 0, 0, 9)},
	{"an unknown kind", "F2", Header(0, 22, 0, 9)},
	{"the last kind", "F2", Header(0, 65535, 0, 9)},
	{"an unknown flag", "F2", Header(0, wire.KindPing, 4, 9)},
	{"an error that is no reply", "F2", Header(0, wire.KindPing, wire.FlagError, 9)},
	{"HTTP", "F2", []byte("GET / HTTP/1.1\r\nHost: shoal\r\n\r\n")},
	{"a request with id 0", "F3", Header(0, wire.KindPing, 0, 0)},
	{"an event with an id", "F3", append(Header(4, wire.KindCancel, 0, 9), 0, 0, 0, 1)},
	{"a reply", "F5", wire.AppendReply(nil, wire.KindPing, 9, &wire.Empty{})},
	{"an error that answers nothing", "F5", wire.AppendError(nil, wire.KindPing, 9, shoal.NotFound)},
	{"PIECE", "F5", wire.AppendPieceHead(nil, 9, wire.PieceHead{}, 0)},
	{"PIECE shorter than its head", "X1", Header(4, wire.KindRequest, wire.FlagReply, 9)},
	{"a reply to an event", "F5", Header(4, wire.KindCancel, wire.FlagReply, 9)},
	{"a reply of id 0", "F5", Header(0, wire.KindPing, wire.FlagReply, 0)},
	{"EPOCH", "F6", event(wire.KindEpoch, &wire.Epoch{Group: shoal.Public, Epoch: 1})},
	{"GONE", "F6", event(wire.KindGone, &wire.Gone{Group: shoal.Public, Reason: wire.GoneDeleted})},
	{"REVOKED", "F6", event(wire.KindRevoked, &wire.Revocation{})},
	{"WITHDRAW", "F6", event(wire.KindWithdraw, &wire.Withdraw{Handle: 1, Code: shoal.Changed})},
	{"CHOKE", "F6", event(wire.KindChoke, &wire.Choke{Handle: 1})},
	{"UNCHOKE", "F6", event(wire.KindUnchoke, &wire.Unchoke{Handle: 1})},
	{"a second HELLO", "H1", request(wire.KindHello, &wire.Hello{Version: 1, Wanted: wire.ServiceServer, Secured: wire.Plaintext})},
	{"a second AUTH", "H1", request(wire.KindAuth, &wire.Auth{})},
	{"BYE with bytes missing", "X1", append(Header(4, wire.KindBye, 0, 0), 0, 0, 0, 1)},
	{"BYE with bytes left over", "X1", append(Header(12, wire.KindBye, 0, 0), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)},
	{"BYE with padding that is not zero", "X1", append(Header(12, wire.KindBye, 0, 0), 0, 0, 0, 1, 0, 0, 0, 1, 'x', 0, 0, 1)},
	{"BYE that is not UTF-8", "X1", append(Header(12, wire.KindBye, 0, 0), 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0, 0, 0)},
	{"BYE with a text past its end", "X2", append(Header(12, wire.KindBye, 0, 0), 0, 0, 0, 1, 0, 0, 0, 9, 'x', 0, 0, 0)},
}

// public is the group's name in XDR.
var public = []byte{0, 0, 0, 6, 'p', 'u', 'b', 'l', 'i', 'c', 0, 0}

var toServer = []Misbehaviour{
	{"PUBLISH over its limit", "F1", Header(73729, wire.KindPublish, 0, 9)},
	{"UNPUBLISH over its limit", "F1", Header(513, wire.KindUnpublish, 0, 9)},
	{"LIST over its limit", "F1", Header(513, wire.KindList, 0, 9)},
	{"LOOKUP over its limit", "F1", Header(513, wire.KindLookup, 0, 9)},
	{"ANNOUNCE over its limit", "F1", Header(65537, wire.KindAnnounce, 0, 9)},
	{"LOG over its limit", "F1", Header(2049, wire.KindLog, 0, 9)},
	{"JOIN", "F2", request(wire.KindJoin, &wire.Join{Swarm: shoal.Swarm{Group: shoal.Public}})},
	{"LEAVE", "F2", request(wire.KindLeave, &wire.Leave{})},
	{"MANIFEST", "F2", request(wire.KindManifest, &wire.ManifestRequest{})},
	{"HASHES", "F2", request(wire.KindHashes, &wire.HashesRequest{})},
	{"REQUEST", "F2", request(wire.KindRequest, &wire.Request{})},
	{"RENEW", "F2", request(wire.KindRenew, &wire.Renew{})},
	{"EXCHANGE", "F2", request(wire.KindExchange, &wire.Exchange{})},
	{"HAVE", "F6", event(wire.KindHave, &wire.Have{})},
	{"LIST of none", "S4", request(wire.KindList, &wire.List{Group: shoal.Public, Limit: 0})},
	{"LIST of too many", "S4", request(wire.KindList, &wire.List{Group: shoal.Public, Limit: 1001})},
	{"no name", "X3", request(wire.KindPublish, &wire.Publish{Group: shoal.Public})},
	{"a path for a name", "X3", request(wire.KindPublish, &wire.Publish{Group: shoal.Public, Name: "../etc/passwd"})},
	{"no group", "X3", request(wire.KindList, &wire.List{Limit: 1})},
	{"half a head", "S8", request(wire.KindPublish, &wire.Publish{
		Group: shoal.Public, Name: "a", Content: shoal.Object{Size: 1 << 20}, Head: []byte("half"),
	})},
	{"a size that cannot be", "X4", request(wire.KindPublish, &wire.Publish{Group: shoal.Public, Name: "a", Content: shoal.Object{Size: -1}})},
	{"a body cut off", "X1", raw(wire.KindLookup, append(slices.Clone(public), 0, 0, 0, 1)...)},
	{"padding that is not zero", "X1", raw(wire.KindLookup, append(slices.Clone(public), 0, 0, 0, 1, 0, 0, 0, 1, 'a', 0, 0, 1)...)},
	{"four bytes too many", "X1", raw(wire.KindLookup, append(slices.Clone(public), 0, 0, 0, 1, 0, 0, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0)...)},
	{"a lookup by nothing known", "X1", raw(wire.KindLookup, append(slices.Clone(public), 0, 0, 0, 3, 0, 0, 0, 0)...)},
	{"a name past the end", "X2", raw(wire.KindLookup, 0, 0, 0, 9)},
}

var toPeer = []Misbehaviour{
	{"REQUEST over its limit", "F1", Header(17, wire.KindRequest, 0, 9)},
	{"JOIN over its limit", "F1", Header(4609, wire.KindJoin, 0, 9)},
	{"HAVE over its limit", "F1", Header(4105, wire.KindHave, 0, 0)},
	{"LIST", "F2", request(wire.KindList, &wire.List{Group: shoal.Public, Limit: 1})},
	{"LOOKUP", "F2", request(wire.KindLookup, &wire.Lookup{Group: shoal.Public, Name: "a"})},
	{"LOGIN", "F2", request(wire.KindLogin, &wire.Login{User: "ann"})},
	{"TICKET", "F2", request(wire.KindTicket, &wire.TicketRequest{Group: shoal.Public})},
	{"REQUEST with bytes missing", "X1", raw(wire.KindRequest, make([]byte, 8)...)},
	{"HASHES cut short", "X1", raw(wire.KindHashes, make([]byte, 4)...)},
	{"a boolean of 2", "X1", raw(wire.KindJoin, append(append(slices.Clone(public), make([]byte, 32+8+4)...), 0, 0, 0, 2)...)},
	{"a group past the end", "X2", raw(wire.KindJoin, 0, 0, 1, 0, 'a', 'b', 'c', 'd')},
	{"a group that cannot be", "X3", request(wire.KindJoin, &wire.Join{Swarm: shoal.Swarm{Group: "a/b"}})},
	{"a size that cannot be", "X4", request(wire.KindJoin, &wire.Join{Swarm: shoal.Swarm{Group: shoal.Public, Object: shoal.Object{Size: -1}}})},
	{"EXCHANGE of too many", "P23", request(wire.KindExchange, &wire.Exchange{Handle: 1, Most: 51})},
}
