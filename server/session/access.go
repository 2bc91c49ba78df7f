package session

import (
	"context"

	"shoal/wire"
)

// caller says who may ask for something.
type caller int

const (
	nobody    caller = iota // it is no request to a server, or comes at another time
	anyDevice               // every device that has proven its key, logged in or not
	user                    // a device that acts for a user
	member                  // one whose user is in the group; in shoal.Public every user is
	owner                   // one whose user owns the group
	reader                  // whom the server's keeper allowed to read the log
)

// rule is how one kind is answered, and to whom.
type rule struct {
	who caller
	// inside says that who may is decided within the transaction that does it, out of the state at that time, and not
	// before: one who asks again, and meanwhile may not, still gets the answer from the first time.
	inside bool
	reads  bool // it is counted as reading, and not told one by one
	slow   bool // it waits for others than the client: what has been answered before is sent first
	answer func(*Session, context.Context, wire.Message) (wire.Message, error)
}

// access is who may ask for what: all of it. A kind without a row is refused as one that servers do not answer.
var access = map[wire.Kind]rule{
	wire.KindHello:     {who: nobody},
	wire.KindAuth:      {who: nobody},
	wire.KindBye:       {who: anyDevice, answer: answered((*Session).bye)},
	wire.KindPing:      {who: anyDevice, answer: answered((*Session).ping)},
	wire.KindCancel:    {who: anyDevice, answer: answered((*Session).cancel)},
	wire.KindPublish:   {who: member, inside: true, slow: true, answer: answered((*Session).publish)},
	wire.KindUnpublish: {who: member, inside: true, slow: true, answer: answered((*Session).unpublish)},
	wire.KindList:      {who: member, answer: answered((*Session).list)},
	wire.KindLookup:    {who: member, answer: answered((*Session).lookup)},
	wire.KindAnnounce:  {who: member, answer: answered((*Session).announce)},
	wire.KindLog:       {who: reader, slow: true, answer: answered((*Session).readLog)},

	// Between peers.
	wire.KindJoin:     {who: nobody},
	wire.KindLeave:    {who: nobody},
	wire.KindManifest: {who: nobody},
	wire.KindHashes:   {who: nobody},
	wire.KindRequest:  {who: nobody},
	wire.KindHave:     {who: nobody},
	wire.KindWithdraw: {who: nobody},
	wire.KindRenew:    {who: nobody},
	wire.KindChoke:    {who: nobody},
	wire.KindUnchoke:  {who: nobody},
	wire.KindExchange: {who: nobody},

	// From servers.
	wire.KindEpoch:   {who: nobody},
	wire.KindGone:    {who: nobody},
	wire.KindRevoked: {who: nobody},

	wire.KindRegister: {who: anyDevice, inside: true, slow: true, answer: answered((*Session).register)},
	wire.KindLogin:    {who: anyDevice, inside: true, slow: true, answer: answered((*Session).login)},
	wire.KindLogout:   {who: user, inside: true, slow: true, answer: answered((*Session).logout)},
	wire.KindWhoami:   {who: user, reads: true, answer: answered((*Session).whoami)},
	wire.KindUsers:    {who: user, reads: true, answer: answered((*Session).users)},
	wire.KindDevices:  {who: user, reads: true, answer: answered((*Session).devices)}, // of others: for admins
	wire.KindAccount:  {who: user, inside: true, slow: true, answer: answered((*Session).account)},

	wire.KindPassword: {who: user, inside: true, slow: true, answer: answered((*Session).password)},

	wire.KindGroup:     {who: user, inside: true, slow: true, answer: answered((*Session).group)}, // by the verb: owners
	wire.KindGroups:    {who: user, reads: true, answer: answered((*Session).groups)},
	wire.KindMembers:   {who: member, reads: true, answer: answered((*Session).members)}, // those who ask to be: for the owner
	wire.KindInvite:    {who: owner, inside: true, slow: true, answer: answered((*Session).invite)},
	wire.KindStopShare: {who: member, inside: true, slow: true, answer: answered((*Session).stopShare)},
	wire.KindTicket:    {who: member, answer: answered((*Session).ticket)},
	wire.KindReport:    {who: member, answer: answered((*Session).report)},
	wire.KindReports:   {who: owner, reads: true, answer: answered((*Session).reports)}, // in public: admins

	wire.KindKeptManifest: {who: member, reads: true, slow: true, answer: answered((*Session).keptManifest)},
}

// rules is access by the number of the kind: every frame is looked up.
var rules = func() (rules [128]rule) {
	for k, row := range access {
		rules[k] = row
	}
	return rules
}()

// answered makes an answer to any message of one to a message of type M, as which the frame's kind has been decoded.
func answered[M, R wire.Message](answer func(*Session, context.Context, M) (R, error)) func(*Session, context.Context, wire.Message) (wire.Message, error) {
	return func(s *Session, ctx context.Context, m wire.Message) (wire.Message, error) {
		reply, err := answer(s, ctx, m.(M))
		return reply, err
	}
}
