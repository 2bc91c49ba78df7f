package check

import (
	"slices"
	"strings"
)

type legalChanges struct {
	why     string
	changes []string
}

// legal are the changes after which a conversation may be as right as before: those of no other frame's business. Of a field
// it says that it may hold something else, not that everything is right in it.
var legal = []legalChanges{
	{"what is only for people", []string{
		"flip hello.software", "flip hello_reply.software", "flip bye.code", "flip bye.text", "flip error_reply.text", "flip withdraw.code",
		"flip withdraw.text", "flip auth_reply.observed", "flip whoami_reply.label", "flip devices_reply.entries.label",
	}},
	{"another reason would do as well, for which no other frame speaks", []string{"flip error_reply.code"}},
	{"another number of the server's own", []string{
		"flip auth_reply.session", "flip lookup_reply.sources.session", "flip mutation_reply.revision", "flip list_reply.revision",
		"flip lookup_reply.revision", "flip kept_manifest_reply.revision", "flip users_reply.revision", "flip devices_reply.revision",
		"flip groups_reply.revision", "flip members_reply.revision", "flip reports_reply.revision", "flip ticket_reply.revision",
		"flip whoami_reply.revision",
	}},
	{"something else is asked for, and the reply does not say for what it is", []string{
		"flip list.group", "flip list.after", "flip list.limit", "flip lookup.group", "flip lookup.what.name", "flip kept_manifest.group",
		"flip log.since", "flip log.last", "flip users.limit", "flip groups.limit", "flip members.group", "flip members.limit",
		"flip report.group", "flip report.file", "flip report.device", "flip reports.group", "flip request.piece", "flip request.begin",
		"flip request.length", "flip join.content.size",
	}},
	{"something else is done", []string{
		"flip publish.group", "flip publish.name", "flip publish.content.file", "flip publish.content.size", "flip publish.head",
		"flip publish.mirrors", "flip stop_share.name", "flip group_change.group", "flip group_change.user", "flip group_change.grace",
		"flip account.device", "flip logout.sequence", "flip announce.offers.content.file", "flip announce.offers.content.size",
		"flip gone.group", "flip gone.file",
	}},
	{"what there is, is something else, and nothing else in the conversation says what", []string{
		"flip list_reply.entries.name", "flip list_reply.entries.content.file", "flip list_reply.entries.content.size",
		"flip list_reply.entries.partial", "flip list_reply.entries.facts.media_type", "flip list_reply.entries.facts.width",
		"flip list_reply.entries.facts.height", "flip lookup_reply.name", "flip lookup_reply.content.file",
		"flip lookup_reply.content.size", "flip lookup_reply.partial", "flip lookup_reply.facts.media_type",
		"flip lookup_reply.facts.width", "flip lookup_reply.facts.height", "flip lookup_reply.mirrors", "flip log_reply.lines",
		"flip log_reply.next", "flip users_reply.entries.user", "flip users_reply.entries.created", "flip users_reply.entries.devices",
		"flip devices_reply.entries.device", "flip devices_reply.entries.enrolled", "flip groups_reply.entries.group",
		"flip groups_reply.entries.owner", "flip groups_reply.entries.members", "flip groups_reply.entries.grace",
		"flip members_reply.entries.user", "flip members_reply.entries.since", "flip reports_reply.entries.device",
		"flip reports_reply.entries.user", "flip reports_reply.entries.users", "flip reports_reply.entries.since",
		"flip reports_reply.entries.latest", "flip whoami_reply.user", "flip whoami_reply.enrolled",
	}},
	{"a time that is no more than the slack away", []string{"flip ticket_reply.now"}},
	{"another handle that is not open, or request that is not", []string{"flip manifest.handle", "flip leave.handle", "flip cancel.id"}},
	{"the last frame is cut off", []string{"flip length"}},
	{"an event that may be said again", []string{"double CANCEL event", "double EPOCH event", "double GONE event", "double REVOKED event"}},
	{"an event that need not be", []string{"drop BYE event", "drop CANCEL event", "drop HAVE event"}},
	{"an event instead of which another one would do", []string{"drop GONE event"}},
	{"the initiator has ended without waiting for it", []string{"drop PING reply"}},
	{"a request that was sent before the reply to the one before it had come", []string{"swap reply and request", "swap error and request"}},
	{"a frame that crossed one of the other side", []string{"swap event and request", "swap request and event", "swap HAVE event and HAVE event", "swap PING reply and BYE event"}},
	{"an event that may come before the reply or after it", []string{
		"swap GROUP reply and EPOCH event", "swap GONE event and STOP_SHARE reply", "swap REQUEST error and UNCHOKE event",
		"swap REQUEST error and WITHDRAW event", "swap REQUEST reply and HAVE event",
	}},
	{"two events about different things", []string{"swap GONE event and EPOCH event"}},
}

// legalInBrief are further ones in a conversation that is soon over, and in which little is said twice.
var legalInBrief = []string{
	"flip publish.sequence", "flip unpublish.sequence", "flip group_change.sequence", "flip epoch.epoch", // which nothing follows that is lower
	"flip unpublish.group", "flip unpublish.name", "flip unpublish.file",
	"flip join.content.file",                                                                           // nothing that was sent is held against it
	"drop EXCHANGE reply",                                                                              // the initiator has ended without waiting for it
	"swap reply and reply", "swap error and error", "swap request and request", "swap event and event", // in any order
}

// legally is the entry of legal, or one of besides, that allows a change; "" if there is none. Frames that change places may be
// named by what they are.
func legally(how string, besides []string) string {
	entries := []string{how}
	if first, second, swapped := strings.Cut(strings.TrimPrefix(how, "swap "), " and "); swapped {
		_, a, _ := strings.Cut(first, " ")
		_, b, _ := strings.Cut(second, " ")
		entries = append(entries, "swap "+a+" and "+b)
	}
	for _, e := range entries {
		if slices.Contains(besides, e) || slices.ContainsFunc(legal, func(l legalChanges) bool { return slices.Contains(l.changes, e) }) {
			return e
		}
	}
	return ""
}
