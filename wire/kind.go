package wire

import "fmt"

// Kind says what a frame is about (PROTOCOL.md section 7). Append-only.
type Kind uint16

// The kinds of version 1.
const (
	KindHello     Kind = 1
	KindAuth      Kind = 2
	KindPing      Kind = 3
	KindBye       Kind = 4
	KindPublish   Kind = 16
	KindUnpublish Kind = 17
	KindList      Kind = 18
	KindLookup    Kind = 19
	KindAnnounce  Kind = 20
	KindLog       Kind = 21
	KindJoin      Kind = 32
	KindLeave     Kind = 33
	KindManifest  Kind = 34
	KindHashes    Kind = 35
	KindRequest   Kind = 36
	KindCancel    Kind = 37
	KindHave      Kind = 38
	KindWithdraw  Kind = 39
	KindRenew     Kind = 40
	KindChoke     Kind = 41
	KindUnchoke   Kind = 42
	KindExchange  Kind = 43
	KindRegister  Kind = 48
	KindLogin     Kind = 49
	KindLogout    Kind = 50
	KindWhoami    Kind = 51
	KindUsers     Kind = 52
	KindDevices   Kind = 53
	KindAccount   Kind = 54
	KindGroup     Kind = 55
	KindGroups    Kind = 56
	KindMembers   Kind = 57
	KindInvite    Kind = 58
	KindStopShare Kind = 59
	KindTicket    Kind = 60
	KindEpoch     Kind = 61
	KindGone      Kind = 62
	KindRevoked   Kind = 63
	KindPassword  Kind = 64
	KindReport    Kind = 65
	KindReports   Kind = 66

	KindKeptManifest Kind = 67
)

// kindSpec is one row of the table in PROTOCOL.md section 7.
type kindSpec struct {
	name           string
	event          bool
	requestLimit   uint32 // bytes in the body of a request or event, at most
	replyLimit     uint32 // bytes in the body of a reply, at most
	request, reply func() Message
}

const errorLimit = 1032 // bytes in the body of an error reply, at most

// kinds is the table, as in PROTOCOL.md. The numbers are below len(rows).
var kinds = map[Kind]kindSpec{
	KindHello:     {"HELLO", false, 256, 4608, fresh[Hello], fresh[HelloReply]},
	KindAuth:      {"AUTH", false, 64, 512, fresh[Auth], fresh[AuthReply]},
	KindPing:      {"PING", false, 0, 0, fresh[Empty], fresh[Empty]},
	KindBye:       {"BYE", true, 1032, 0, fresh[Bye], nil},
	KindPublish:   {"PUBLISH", false, 73728, 8, fresh[Publish], fresh[MutationReply]},
	KindUnpublish: {"UNPUBLISH", false, 512, 8, fresh[Unpublish], fresh[MutationReply]},
	KindList:      {"LIST", false, 512, 1048576, fresh[List], fresh[ListReply]},
	KindLookup:    {"LOOKUP", false, 512, 262144, fresh[Lookup], fresh[LookupReply]},
	KindAnnounce:  {"ANNOUNCE", false, 65536, 0, fresh[Announce], fresh[Empty]},
	KindLog:       {"LOG", false, 2048, 524800, fresh[Log], fresh[LogReply]},
	KindJoin:      {"JOIN", false, 4608, 8448, fresh[Join], fresh[JoinReply]},
	KindLeave:     {"LEAVE", false, 4, 0, fresh[Leave], fresh[Empty]},
	KindManifest:  {"MANIFEST", false, 4, 2100000, fresh[ManifestRequest], fresh[ManifestReply]},
	KindHashes:    {"HASHES", false, 8, 2097156, fresh[HashesRequest], fresh[HashesReply]},
	KindRequest:   {"REQUEST", false, 16, 1048584, fresh[Request], fresh[PieceHead]},
	KindCancel:    {"CANCEL", true, 4, 0, fresh[Cancel], nil},
	KindHave:      {"HAVE", true, 4104, 0, fresh[Have], nil},
	KindWithdraw:  {"WITHDRAW", true, 1036, 0, fresh[Withdraw], nil},
	KindRenew:     {"RENEW", false, 4608, 0, fresh[Renew], fresh[Empty]},
	KindChoke:     {"CHOKE", true, 4, 0, fresh[Choke], nil},
	KindUnchoke:   {"UNCHOKE", true, 4, 0, fresh[Unchoke], nil},
	KindExchange:  {"EXCHANGE", false, 4608, 262144, fresh[Exchange], fresh[ExchangeReply]},
	KindRegister:  {"REGISTER", false, 1536, 128, fresh[Register], fresh[RegisterReply]},
	KindLogin:     {"LOGIN", false, 1408, 8, fresh[Login], fresh[MutationReply]},
	KindLogout:    {"LOGOUT", false, 8, 8, fresh[Logout], fresh[MutationReply]},
	KindWhoami:    {"WHOAMI", false, 0, 512, fresh[Whoami], fresh[WhoamiReply]},
	KindUsers:     {"USERS", false, 128, 90112, fresh[Users], fresh[UsersReply]},
	KindDevices:   {"DEVICES", false, 128, 20480, fresh[Devices], fresh[DevicesReply]},
	KindAccount:   {"ACCOUNT", false, 256, 8, fresh[Account], fresh[MutationReply]},
	KindGroup:     {"GROUP", false, 256, 8, fresh[GroupChange], fresh[MutationReply]},
	KindGroups:    {"GROUPS", false, 128, 163840, fresh[Groups], fresh[GroupsReply]},
	KindMembers:   {"MEMBERS", false, 256, 81920, fresh[Members], fresh[MembersReply]},
	KindInvite:    {"INVITE", false, 256, 8, fresh[Invite], fresh[MutationReply]},
	KindStopShare: {"STOP_SHARE", false, 512, 8, fresh[StopShare], fresh[MutationReply]},
	KindTicket:    {"TICKET", false, 128, 4608, fresh[TicketRequest], fresh[TicketReply]},
	KindEpoch:     {"EPOCH", true, 128, 0, fresh[Epoch], nil},
	KindGone:      {"GONE", true, 128, 0, fresh[Gone], nil},
	KindRevoked:   {"REVOKED", true, 4608, 0, fresh[Revocation], nil},
	KindPassword:  {"PASSWORD", false, 2176, 8, fresh[PasswordChange], fresh[MutationReply]},
	KindReport:    {"REPORT", false, 136, 0, fresh[Report], fresh[Empty]},
	KindReports:   {"REPORTS", false, 72, 122880, fresh[Reports], fresh[ReportsReply]},

	KindKeptManifest: {"KEPT_MANIFEST", false, 128, 65552, fresh[KeptManifest], fresh[KeptManifestReply]},
}

// rows is kinds by number: every frame is looked up. A kind that is not known has an empty row.
var rows = func() (rows [128]kindSpec) {
	for k, row := range kinds {
		rows[k] = row
	}
	return rows
}()

// row returns a kind's row, nil for a kind that is not known.
func (k Kind) row() *kindSpec {
	if int(k) >= len(rows) || rows[k].name == "" {
		return nil
	}
	return &rows[k]
}

// fresh makes an empty message of type M.
func fresh[M any, P interface {
	*M
	Message
}]() Message {
	return P(new(M))
}

func (s *kindSpec) limit(f Flags) uint32 {
	switch {
	case f&FlagError != 0:
		return errorLimit
	case f&FlagReply != 0:
		return s.replyLimit
	}
	return s.requestLimit
}

func (k Kind) String() string {
	if row := k.row(); row != nil {
		return row.name
	}
	return fmt.Sprintf("kind %d", uint16(k))
}
