package oncrpc

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/vmware/go-nfs-client/nfs/rpc"
	"github.com/vmware/go-nfs-client/nfs/xdr"
)

// vector is a call in hexadecimal and its reply, written by hand after RFC 5531 section 9. There is no reply to what is
// no call.
type vector struct{ name, call, reply string }

const (
	callOf = "0000002a 00000000 00000002 20000099 00000002 " // xid 42, CALL, RPC 2, the program, version 2
	null   = "00000000 "
	echo   = "00000001 "
	none   = "00000000 00000000 " // AUTH_NONE
	ok     = "0000002a 00000001 00000000 00000000 00000000 "
	denied = "0000002a 00000001 00000001 "
)

var vectors = []vector{
	{"NULL", callOf + null + none + none, ok + "00000000"},
	{"NULL with arguments", callOf + null + none + none + "01020304", ok + "00000000"},
	{"echo", callOf + echo + none + none + "01020304", ok + "00000000 01020304"},
	{"AUTH_NONE with a body", callOf + echo + "00000000 00000003 01020300" + none + "01020304", ok + "00000000 01020304"},
	{"version 3", "0000002a 00000000 00000002 20000099 00000003 00000000" + none + none, ok + "00000000"},
	{"AUTH_SYS", callOf + echo +
		"00000001 0000001c 00000001 00000003 61626300 000003e8 00000064 00000001 00000004" + none, ok + "00000000"},
	{"AUTH_SYS with 16 groups", callOf + echo + "00000001 00000054 00000000 00000000 00000000 00000000 00000010" +
		strings.Repeat("00000001", 16) + none, ok + "00000000"},
	{"verifier of another flavor", callOf + echo + none + "00000006 00000003 01020300", ok + "00000000"},

	{"PROG_UNAVAIL", "0000002a 00000000 00000002 20000098 00000002 00000000" + none + none, ok + "00000001"},
	{"PROG_MISMATCH below", "0000002a 00000000 00000002 20000099 00000001 00000000" + none + none, ok + "00000002 00000002 00000003"},
	{"PROG_MISMATCH above", "0000002a 00000000 00000002 20000099 ffffffff 00000000" + none + none, ok + "00000002 00000002 00000003"},
	{"PROC_UNAVAIL", callOf + "00000063" + none + none, ok + "00000003"},
	{"GARBAGE_ARGS", callOf + "00000003" + none + none, ok + "00000004"},
	{"SYSTEM_ERR", callOf + "00000002" + none + none, ok + "00000005"},
	{"RPC_MISMATCH", "0000002a 00000000 00000003 20000099 00000002 00000000" + none + none, denied + "00000000 00000002 00000002"},
	{"RPC_MISMATCH of who knows what", "0000002a 00000000 00000001 00000000 00000000 00000000", denied + "00000000 00000002 00000002"},

	{"AUTH_SYS with 17 groups", callOf + echo + "00000001 00000058 00000000 00000000 00000000 00000000 00000011" +
		strings.Repeat("00000001", 17) + none, denied + "00000001 00000001"},
	{
		"AUTH_SYS with 2^31 groups", callOf + echo + "00000001 00000014 00000000 00000000 00000000 00000000 80000000" + none,
		denied + "00000001 00000001",
	},
	{"AUTH_SYS of a machine of 256 bytes", callOf + echo + "00000001 00000114 00000000 00000100" + strings.Repeat("61", 256) +
		"00000000 00000000 00000000" + none, denied + "00000001 00000001"},
	{"AUTH_SYS cut short", callOf + echo + "00000001 00000010 00000001 00000000 000003e8 00000064" + none, denied + "00000001 00000001"},
	{"AUTH_SYS with something after it", callOf + echo +
		"00000001 00000018 00000001 00000000 000003e8 00000064 00000000 00000000" + none, denied + "00000001 00000001"},
	{"AUTH_SHORT", callOf + echo + "00000002 00000004 01020304" + none, denied + "00000001 00000002"},
	{"AUTH_DH", callOf + echo + "00000003 00000000" + none, denied + "00000001 00000001"},
	{"RPCSEC_GSS", callOf + null + "00000006 00000000" + none, denied + "00000001 00000001"},
	{"unknown flavor", callOf + null + "ffffffff 00000000" + none, denied + "00000001 00000001"},
	{"AUTH_TLS where there is none", callOf + null + "00000007 00000000" + none, denied + "00000001 00000001"},
	{"credential over 400 bytes", callOf + echo + "00000001 00000194" + strings.Repeat("00", 404) + none, denied + "00000001 00000001"},
	{"credential of 2 GiB", callOf + echo + "00000000 7fffffff", denied + "00000001 00000001"},
	{"no credential", callOf + echo, denied + "00000001 00000001"},
	{"verifier of 4 GiB", callOf + echo + none + "00000000 ffffffff", denied + "00000001 00000003"},
	{"no verifier", callOf + echo + none, denied + "00000001 00000003"},

	{"nothing", "", ""},
	{"three bytes", "000000", ""},
	{"a reply", ok + "00000000", ""},
	{"message type 2", "0000002a 00000002 00000002 20000099 00000002 00000000" + none + none, ""},
	{"a call without procedure", "0000002a 00000000 00000002 20000099 00000002", ""},
	{"an RPC version alone", "0000002a 00000000 00000003", ""},
}

// tlsVectors are of a server that wants TLS.
var tlsVectors = []vector{
	{"NULL in plaintext", callOf + null + none + none, ok + "00000000"},
	{"AUTH_TOOWEAK", callOf + echo + none + none, denied + "00000001 00000005"},
	{
		"AUTH_TOOWEAK for AUTH_SYS", callOf + echo + "00000001 00000014 00000000 00000000 00000000 00000000 00000000" + none,
		denied + "00000001 00000005",
	},
	{"AUTH_TLS with a body", callOf + null + "00000007 00000004 00000000" + none, denied + "00000001 00000001"},
	{"AUTH_TLS for another procedure", callOf + echo + "00000007 00000000" + none, denied + "00000001 00000001"},
}

// probe asks for TLS, and started says that it may begin: a verifier of AUTH_NONE with eight bytes (RFC 9289 section 4.1).
const (
	probe   = callOf + null + "00000007 00000000" + none
	started = "0000002a 00000001 00000000 00000000 00000008 5354415254544c53 00000000"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fragment puts a header before b.
func fragment(b []byte, last bool) []byte {
	head := uint32(len(b))
	if last {
		head |= lastFragment
	}
	return append(binary.BigEndian.AppendUint32(nil, head), b...)
}

func rawDial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestVectors(t *testing.T) {
	tcp, udp := serve(t, testServer())
	checkVectors(t, tcp, udp, vectors)
}

func TestTLSVectors(t *testing.T) {
	s := testServer()
	s.TLS, s.RequireTLS = selfSigned(t), true
	tcp, udp := serve(t, s)
	checkVectors(t, tcp, udp, tlsVectors)
	conn := rawDial(t, "tcp", tcp)
	another := "0000002a 00000000 00000002 20000099 00000009 00000000 00000007 00000000" + none
	checkStream(t, conn, unhex(t, another), unhex(t, ok+"00000002 00000002 00000003"))
	checkStream(t, conn, unhex(t, probe), unhex(t, started))
	// Over UDP there is nothing to begin.
	checkDatagram(t, rawDial(t, "udp", udp), unhex(t, probe), unhex(t, denied+"00000001 00000001"))
}

func checkVectors(t *testing.T, tcp, udp string, vectors []vector) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			call, want := unhex(t, v.call), unhex(t, v.reply)
			checkStream(t, rawDial(t, "tcp", tcp), call, want)
			checkDatagram(t, rawDial(t, "udp", udp), call, want)
		})
	}
}

func checkStream(t *testing.T, conn net.Conn, call, want []byte) {
	t.Helper()
	if _, err := conn.Write(fragment(call, true)); err != nil {
		t.Fatal(err)
	}
	if len(want) == 0 {
		if b, err := io.ReadAll(conn); len(b) > 0 || err != nil {
			t.Errorf("over TCP: %x, %v instead of the end", b, err)
		}
		return
	}
	got := make([]byte, 4+len(want))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, fragment(want, true)) {
		t.Errorf("over TCP: %x, %v instead of %x", got, err, want)
	}
}

// checkDatagram sends a NULL after the call, whose reply is all that comes where the call has none.
func checkDatagram(t *testing.T, conn net.Conn, call, want []byte) {
	t.Helper()
	after, afterReply := unhex(t, callOf+null+none+none), unhex(t, ok+"00000000")
	after[0], afterReply[0] = 0x7F, 0x7F
	if _, err := conn.Write(call); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	read := func(want []byte) {
		t.Helper()
		if n, err := conn.Read(buf); err != nil || !bytes.Equal(buf[:n], want) {
			t.Errorf("over UDP: %x, %v instead of %x", buf[:n], err, want)
		}
	}
	if len(want) > 0 {
		read(want)
	}
	if _, err := conn.Write(after); err != nil {
		t.Fatal(err)
	}
	read(afterReply)
}

// What this package encodes by itself is what go-nfs-client's encoder makes of the same.
func TestReplyEncoding(t *testing.T) {
	type accepted struct {
		XID, Type, Stat uint32
		Verf            rpc.Auth
		Accept          uint32
	}
	type mismatch struct{ Low, High uint32 }
	type rejected struct{ XID, Type, Stat, Reject uint32 }
	check := func(got []byte, parts ...any) {
		t.Helper()
		var want bytes.Buffer
		for _, p := range parts {
			if err := xdr.Write(&want, p); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%x instead of %x", got, want.Bytes())
		}
	}
	check(appendSuccess(nil, 42, ""), accepted{42, 1, rpc.MsgAccepted, rpc.AuthNull, rpc.Success})
	check(appendSuccess(nil, 42, startTLS), accepted{42, 1, rpc.MsgAccepted, rpc.Auth{Body: []byte("STARTTLS")}, rpc.Success})
	for _, stat := range []uint32{rpc.ProgUnavail, rpc.ProcUnavail, rpc.GarbageArgs, rpc.SystemErr} {
		check(appendError(nil, 42, &AcceptError{Stat: AcceptStat(stat)}), accepted{42, 1, rpc.MsgAccepted, rpc.AuthNull, stat})
	}
	check(appendError(nil, 42, io.EOF), accepted{42, 1, rpc.MsgAccepted, rpc.AuthNull, rpc.SystemErr})
	check(appendError(nil, 42, &AcceptError{Stat: ProgMismatch, Low: 2, High: 3}),
		accepted{42, 1, rpc.MsgAccepted, rpc.AuthNull, rpc.ProgMismatch}, mismatch{2, 3})
	check(appendError(nil, 42, &Rejected{Stat: RPCMismatch, Low: 2, High: 2}), rejected{42, 1, rpc.MsgDenied, rpc.RpcMismatch}, mismatch{2, 2})
	for stat := AuthBadCred; stat <= AuthFailed; stat++ {
		check(appendError(nil, 42, badAuth(stat)), rejected{42, 1, rpc.MsgDenied, 1}, uint32(stat))
	}
}
