// Package oncrpc is ONC RPC version 2 (RFC 5531): a server and a client over TCP with record marking and over UDP, with
// TLS as RFC 9289 has it, and the registration with rpcbind. What strangers send is bounded before it is stored, and
// decoded by shoal/xdr.
//
//	TCP   | fragment header | call ... | more fragments ... |      one record, one call
//	UDP   | call ... |                                             one datagram, one call
//	call  xid, CALL, 2, program, version, procedure, credential, verifier, arguments
//	reply xid, REPLY, accepted, verifier, how it ended, results
//
// A call may be carried out twice over UDP, where what is lost is sent again: a program whose procedures must not be
// repeated has to recognise repetitions.
package oncrpc
