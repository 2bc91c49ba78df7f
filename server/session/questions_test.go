package session

import (
	"time"

	"shoal"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/wire"
)

// requests are those of the table.
var requests = map[string]func(c *cell) wire.Message{
	"PING": func(*cell) wire.Message { return new(wire.Empty) },
	"PUBLISH": func(c *cell) wire.Message {
		return &wire.Publish{Sequence: c.number(), Group: c.group, Name: "new", Content: objectOf(3)}
	},
	"UNPUBLISH": func(c *cell) wire.Message {
		if c.own {
			return &wire.Unpublish{Sequence: c.number(), Group: c.group, Name: c.mine(), File: objectOf(2).ID}
		}
		return &wire.Unpublish{Sequence: c.number(), Group: c.group, Name: "x", File: objectOf(1).ID}
	},
	"LIST":   func(c *cell) wire.Message { return &wire.List{Group: c.group, Limit: 9} },
	"LOOKUP": func(c *cell) wire.Message { return &wire.Lookup{Group: c.group, Name: "x"} },
	"ANNOUNCE": func(c *cell) wire.Message {
		return &wire.Announce{
			Candidates: (&client{key: c.asker}).candidates(time.Hour),
			Offers:     []wire.Offer{{Swarm: shoal.Swarm{Group: c.group, Object: objectOf(1)}, Pieces: 4}},
		}
	},
	"LOG": func(*cell) wire.Message { return new(wire.Log) },
	"REGISTER": func(c *cell) wire.Message {
		return &wire.Register{Sequence: c.number(), User: c.called("new"), Password: []byte(goodPassword), Code: c.code()}
	},
	"LOGIN": func(c *cell) wire.Message {
		return &wire.Login{Sequence: c.number(), User: c.either("asking"), Password: []byte(goodPassword)}
	},
	"LOGOUT": func(c *cell) wire.Message { return &wire.Logout{Sequence: c.number()} },
	"WHOAMI": func(*cell) wire.Message { return new(wire.Whoami) },
	"USERS":  func(*cell) wire.Message { return &wire.Users{Limit: 9} },
	"DEVICES": func(c *cell) wire.Message {
		return &wire.Devices{User: c.either("asking")}
	},
	"ACCOUNT delete": func(c *cell) wire.Message {
		return &wire.Account{Sequence: c.number(), Verb: wire.DeleteUser, User: c.either("asking")}
	},
	"ACCOUNT revoke": func(c *cell) wire.Message {
		device := c.asking.Device()
		if c.own {
			another := identity.NewKey()
			c.do(another, &meta.EnrolDevice{User: meta.Username(c.name), Password: c.password})
			device = another.Device()
		}
		return &wire.Account{Sequence: c.number(), Verb: wire.RevokeDevice, Device: device}
	},
	"PASSWORD": func(c *cell) wire.Message {
		return &wire.PasswordChange{Sequence: c.number(), Was: []byte(goodPassword), Password: []byte(goodPassword)}
	},
	"GROUP create": func(c *cell) wire.Message {
		m := c.verb(wire.CreateGroup, "").(*wire.GroupChange)
		if c.asker != c.member && c.asker != c.owner {
			m.Group += "'s other"
		}
		return m
	},
	"GROUP join": func(c *cell) wire.Message { return c.verb(wire.JoinGroup, "") },
	"GROUP leave": func(c *cell) wire.Message {
		if c.own {
			c.do(c.asker, &meta.RequestJoin{Group: c.group})
		}
		return c.verb(wire.LeaveGroup, "")
	},
	"GROUP accept":   func(c *cell) wire.Message { return c.verb(wire.AcceptUser, "asking") },
	"GROUP reject":   func(c *cell) wire.Message { return c.verb(wire.RejectUser, "asking") },
	"GROUP remove":   func(c *cell) wire.Message { return c.verb(wire.RemoveUser, "member") },
	"GROUP delete":   func(c *cell) wire.Message { return c.verb(wire.DeleteGroup, "") },
	"GROUP transfer": func(c *cell) wire.Message { return c.verb(wire.TransferGroup, "member") },
	"GROUPS":         func(*cell) wire.Message { return &wire.Groups{Limit: 9} },
	"MEMBERS in":     func(c *cell) wire.Message { return &wire.Members{Group: c.group, Which: wire.MembersIn, Limit: 9} },
	"MEMBERS asking": func(c *cell) wire.Message { return &wire.Members{Group: c.group, Which: wire.MembersAsking, Limit: 9} },
	"INVITE": func(c *cell) wire.Message {
		return &wire.Invite{Sequence: c.number(), Group: c.group, CodeHash: [32]byte{byte(c.made), byte(c.made >> 8), 1}, Expires: time.Now().Add(time.Hour).UnixMilli()}
	},
	"STOP_SHARE": func(c *cell) wire.Message {
		if c.own {
			return &wire.StopShare{Sequence: c.number(), Group: c.group, Name: c.mine(), File: objectOf(2).ID}
		}
		c.do(c.member, &meta.Publish{Group: c.group, Name: "y", Content: objectOf(4)})
		if c.asker == c.member {
			return &wire.StopShare{Sequence: c.number(), Group: c.group, Name: "x", File: objectOf(1).ID}
		}
		return &wire.StopShare{Sequence: c.number(), Group: c.group, Name: "y", File: objectOf(4).ID}
	},
	"TICKET": func(c *cell) wire.Message { return &wire.TicketRequest{Group: c.group} },
	"REPORT": func(c *cell) wire.Message {
		c.source(c.asking)
		return &wire.Report{Group: c.group, File: objectOf(1).ID, Device: c.asking.Device()}
	},
	"REPORTS": func(c *cell) wire.Message { return &wire.Reports{Group: c.group} },
	"KEPT_MANIFEST": func(c *cell) wire.Message {
		o, proof := small("kept")
		c.do(c.owner, &meta.Publish{Group: c.group, Name: "kept", Content: o, Mirrors: []shoal.Mirror{"https://example.com/"}, Manifest: proof})
		return &wire.KeptManifest{Group: c.group, File: o.ID}
	},
}
