package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

func newGroup() *cobra.Command {
	return family("group", "Create groups, and say who is in them",
		newGroupCreate(), newGroupList(),
		newGroupVerb("join", "Ask to be let into a group", wire.JoinGroup, "asked to be let in; the owner of %[1]s accepts or rejects that"),
		newGroupVerb("leave", "Leave a group, or take back the request to be let in", wire.LeaveGroup, "not in %[1]s any more"),
		newMembers("requests", "List who asks to be let in: name, since when", wire.MembersAsking),
		newGroupVerb("accept", "Let a user in who asks for that", wire.AcceptUser, "%[2]s is in %[1]s now"),
		newGroupVerb("reject", "Turn down a user who asks to be let in", wire.RejectUser, "%[2]s is not let into %[1]s"),
		newMembers("members", "List who is in a group: name, since when", wire.MembersIn),
		newGroupPeers(),
		newGroupVerb("remove", "Remove a user from a group; transfers end at once", wire.RemoveUser, "%[2]s is not in %[1]s any more"),
		newGroupVerb("delete", "Delete a group with all that is published in it; the files stay where they are", wire.DeleteGroup, "%[1]s is deleted"),
		newGroupVerb("transfer", "Make another member the owner of a group", wire.TransferGroup, "%[2]s owns %[1]s now"),
	)
}

func newGroupCreate() *cobra.Command {
	var c common
	var grace time.Duration
	cmd := c.command("create GROUP", "Create a group, which you own then", cobra.ExactArgs(1),
		func(ctx context.Context, open opener, given []string) error {
			group, err := shoal.ParseGroup(given[0])
			if err != nil {
				return err
			}
			if grace < 0 || grace > identity.MaxGrace {
				return shoal.Errorf(shoal.BadRequest, "--offline-grace is up to %v, not %v", identity.MaxGrace, grace)
			}
			t, err := open()
			if err != nil {
				return err
			}
			if err := t.CreateGroup(ctx, group, uint32(grace/time.Second)); err != nil {
				return err
			}
			c.say(map[string]any{"event": "create", "group": group}, "%s is a group now, and yours", group)
			return nil
		})
	cmd.Flags().DurationVar(&grace, "offline-grace", 12*time.Hour, "how long its members' transfers go on while no server can be reached; whole seconds")
	return cmd
}

// newGroupVerb makes a command of one verb. done is what it says in the end, of the group and the user.
func newGroupVerb(use, short string, verb wire.GroupVerb, done string) *cobra.Command {
	var c common
	given := 1
	full := use + " GROUP"
	if verb.NamesUser() {
		given, full = 2, full+" USER"
	}
	return c.command(full, short, cobra.ExactArgs(given), func(ctx context.Context, open opener, given []string) error {
		group, err := shoal.ParseGroup(given[0])
		user := ""
		if err == nil && verb.NamesUser() {
			user, err = parseUser(given[1])
		}
		if err != nil {
			return err
		}
		t, err := open()
		if err != nil {
			return err
		}
		if err := t.ChangeGroup(ctx, verb, group, user); err != nil {
			return err
		}
		event := map[string]any{"event": use, "group": group}
		names := []any{group}
		if verb.NamesUser() {
			event["user"] = user
			names = append(names, user)
		}
		c.say(event, done, names...)
		return nil
	})
}

func newGroupList() *cobra.Command {
	var c common
	cmd := c.command("list", "List your groups: name, what you are in it, number of members, owner", cobra.NoArgs,
		func(ctx context.Context, open opener, _ []string) error {
			t, err := open()
			if err != nil {
				return err
			}
			groups, err := t.Groups(ctx)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, g := range groups {
				grace := time.Duration(g.Grace) * time.Second
				if c.json {
					printJSON(map[string]any{
						"group": g.Group, "owner": g.Owner, "role": g.Role.String(), "members": g.Members, "epoch": g.Epoch, "offline_grace": grace.Seconds(),
					})
					continue
				}
				members := "-"
				if g.Members > 0 {
					members = fmt.Sprint(g.Members)
				}
				owner := "-"
				if g.Owner != "" {
					owner = g.Owner
				}
				rows = append(rows, []string{string(g.Group), g.Role.String(), members, owner})
			}
			return printTable(rows...)
		})
	cmd.Long = cmd.Short + ". Those that you ask to be let into are there, too; an admin sees all."
	return cmd
}

func newMembers(use, short string, which wire.MembersWhich) *cobra.Command {
	var c common
	return c.command(use+" GROUP", short, cobra.ExactArgs(1), func(ctx context.Context, open opener, given []string) error {
		group, err := shoal.ParseGroup(given[0])
		if err != nil {
			return err
		}
		t, err := open()
		if err != nil {
			return err
		}
		members, err := t.Members(ctx, group, which)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, m := range members {
			since := time.UnixMilli(m.Since).UTC()
			if c.json {
				printJSON(map[string]any{"user": m.User, "since": since})
				continue
			}
			rows = append(rows, []string{m.User, timeText(since)})
		}
		return printTable(rows...)
	})
}

func newGroupPeers() *cobra.Command {
	var c common
	cmd := c.command("peers GROUP", "List which devices are reported for false data", cobra.ExactArgs(1),
		func(ctx context.Context, open opener, given []string) error {
			group, err := shoal.ParseGroup(given[0])
			if err != nil {
				return err
			}
			t, err := open()
			if err != nil {
				return err
			}
			reported, more, err := t.Reports(ctx, group)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, r := range reported {
				since, latest := time.UnixMilli(r.Since).UTC(), time.UnixMilli(r.Latest).UTC()
				if c.json {
					printJSON(map[string]any{"device": r.Device, "user": r.User, "users": r.Users, "since": since, "latest": latest})
					continue
				}
				rows = append(rows, []string{r.Device.String(), r.User, fmt.Sprint(r.Users), timeText(since), timeText(latest)})
			}
			if err := printTable(rows...); err != nil {
				return err
			}
			if more {
				warn("there are more than these %d", len(reported))
			}
			return nil
		})
	cmd.Long = cmd.Short + ": the device, whose it is, by how many users, since when, and when last.\n" +
		"Only the group's owner sees that, and for public an admin. A download reports a device that sent it what is proven to be\n" +
		"wrong: its disk or memory is broken, or it lies. Each user counts once for a device, and for a day. Others try such a\n" +
		"device later than the rest, and still fetch from it: every byte is verified. shoal group remove takes its user out."
	return cmd
}

func newInvite() *cobra.Command {
	var c common
	var lasts time.Duration
	cmd := c.command("invite GROUP", "Print a code that makes one new user, who is in the group from then on", cobra.ExactArgs(1),
		func(ctx context.Context, open opener, given []string) error {
			group, err := shoal.ParseGroup(given[0])
			if err != nil {
				return err
			}
			const most = 30 * 24 * time.Hour
			if lasts <= 0 || lasts > most {
				return shoal.Errorf(shoal.BadRequest, "--expires-in is up to %v, not %v", most, lasts)
			}
			t, err := open()
			if err != nil {
				return err
			}
			code := identity.NewCode()
			expires := t.Now().Add(lasts).UTC().Truncate(time.Millisecond)
			if err := t.Invite(ctx, group, code.Hash(), expires.UnixMilli()); err != nil {
				return err
			}
			if c.json {
				printJSON(map[string]any{"event": "invite", "group": group, "code": code, "expires": expires})
				return nil
			}
			fmt.Println(code)
			return nil
		})
	cmd.Long = cmd.Short + ". Give it to that person by a way that nobody else can\n" +
		"read; it is typed into shoal user create, and good once. Only you can invite to a group that you own."
	cmd.Flags().DurationVar(&lasts, "expires-in", 7*24*time.Hour, "how long the code is good; at most 720h")
	return cmd
}
