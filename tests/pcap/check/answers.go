package check

import (
	"slices"

	"shoal"
	"shoal/wire"
)

// answers are the errors by which each request may be answered, and for each the rule that says so; A1 stands for the table
// of who may ask for what and the one of the errors besides these.
var answers = map[wire.Kind]map[shoal.Code]string{
	wire.KindHello:     {shoal.Unsupported: "H4", shoal.Untrusted: "H6"},
	wire.KindAuth:      {shoal.Untrusted: "H6"},
	wire.KindPing:      {},
	wire.KindPublish:   byTable(shoal.Denied, shoal.NotFound, shoal.NameTaken, shoal.BadRequest, shoal.Limit),
	wire.KindUnpublish: byTable(shoal.Denied, shoal.NotFound),
	wire.KindList:      byTable(shoal.Denied, shoal.NotFound),
	wire.KindLookup:    byTable(shoal.Denied, shoal.NotFound),
	wire.KindAnnounce:  {shoal.Denied: "A1", shoal.BadRequest: "S6", shoal.Limit: "S7"},
	wire.KindLog:       {shoal.Denied: "S10", shoal.BadRequest: "A1", shoal.Limit: "A1"},

	wire.KindJoin:     {shoal.NotFound: "A1", shoal.Limit: "P2", shoal.Changed: "P11"},
	wire.KindLeave:    byTable(shoal.NotFound),
	wire.KindManifest: {shoal.NotFound: "A1", shoal.Changed: "P11"},
	wire.KindHashes:   {shoal.NotFound: "A1", shoal.Changed: "P11", shoal.NotHeld: "P6", shoal.BadRequest: "P13"},
	wire.KindRequest: {
		shoal.NotFound: "A1", shoal.Changed: "P11", shoal.NotHeld: "P6", shoal.BadRequest: "P5", shoal.Limit: "P8",
		shoal.Canceled: "P9", shoal.Busy: "P19",
	},
	wire.KindRenew:    byTable(shoal.NotFound),
	wire.KindExchange: byTable(shoal.NotFound, shoal.BadRequest, shoal.Limit),

	wire.KindRegister:     byTable(shoal.Denied, shoal.Exists, shoal.BadRequest, shoal.Limit),
	wire.KindLogin:        byTable(shoal.Denied, shoal.Exists, shoal.BadRequest, shoal.Limit),
	wire.KindLogout:       byTable(shoal.Denied),
	wire.KindWhoami:       byTable(shoal.Denied),
	wire.KindUsers:        byTable(shoal.Denied),
	wire.KindDevices:      byTable(shoal.Denied, shoal.NotFound),
	wire.KindAccount:      byTable(shoal.Denied, shoal.NotFound),
	wire.KindPassword:     byTable(shoal.Denied, shoal.BadRequest, shoal.Limit),
	wire.KindGroup:        byTable(shoal.Denied, shoal.Exists, shoal.NotFound, shoal.Limit),
	wire.KindGroups:       byTable(shoal.Denied),
	wire.KindMembers:      byTable(shoal.Denied, shoal.NotFound),
	wire.KindInvite:       byTable(shoal.Denied, shoal.NotFound, shoal.Exists),
	wire.KindStopShare:    byTable(shoal.Denied, shoal.NotFound),
	wire.KindTicket:       byTable(shoal.Denied, shoal.NotFound, shoal.Busy),
	wire.KindReport:       byTable(shoal.Denied, shoal.NotFound, shoal.BadRequest, shoal.Limit),
	wire.KindReports:      byTable(shoal.Denied, shoal.NotFound),
	wire.KindKeptManifest: byTable(shoal.Denied, shoal.NotFound),
}

func byTable(codes ...shoal.Code) map[shoal.Code]string {
	all := map[shoal.Code]string{}
	for _, c := range codes {
		all[c] = "A1"
	}
	return all
}

// Besides, whoever is asked may have a fault; a server may have too much to do, or not be sure of what it knows; and a
// mutation may not be carried out for what it is (rule S1) or for want of space.
var (
	ofAnybody  = []shoal.Code{shoal.Internal}
	ofServer   = []shoal.Code{shoal.Busy, shoal.Unreachable}
	ofMutation = []shoal.Code{shoal.StaleRequest, shoal.BadRequest, shoal.NoSpace, shoal.Limit}
)

// checkCode holds an error to those that there are for the kind.
func (c *Conn) checkCode(f *Frame, e *wire.ErrorReply) {
	if _, listed := answers[f.Kind][e.Code]; listed || slices.Contains(ofAnybody, e.Code) {
		return
	}
	if c.Service != wire.ServicePeer {
		_, mutation := sequenceOf(requestOf(f))
		if slices.Contains(ofServer, e.Code) || mutation && slices.Contains(ofMutation, e.Code) {
			return
		}
	}
	rule := "A1"
	if f.Kind == wire.KindJoin {
		rule = "P1"
	}
	c.violate(f, rule, "nothing says that it is answered by %v", e.Code)
}
