package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"shoal"
	"shoal/client"
)

func newUser() *cobra.Command {
	return family("user", "Create, list and delete users, and change one's password",
		newUserCreate(), newUserList(), newUserDelete(), newUserPassword())
}

func newUserCreate() *cobra.Command {
	var e enrolment
	cmd := e.command("create NAME", "Create a user, and enrol this device as the user's", cobra.ExactArgs(1),
		func(ctx context.Context, open opener, given []string) error {
			user, password, err := e.credentials(given[0], true)
			if err != nil {
				return err
			}
			defer clear(password)
			code, err := e.code()
			if err != nil {
				return err
			}
			defer clear(code)
			t, err := open()
			if err != nil {
				return err
			}
			group, err := t.Register(ctx, user, password, code, e.label)
			if err != nil {
				return err
			}
			event := map[string]any{"event": "created", "user": user}
			text := fmt.Sprintf("%s is a user now, and this device is %[1]s's", user)
			if group != "" {
				event["group"] = group
				text += fmt.Sprintf("; %s is in the group %s", user, group)
			}
			e.say(event, "%s", text)
			return tellDaemon(ctx, &e.common)
		})
	cmd.Long = cmd.Short + ".\n\nA server's first user needs the code that it printed at its first start; others need one of shoal invite, unless\n" +
		"everybody may register there. The password and the code are typed. Without a terminal the password is the first line of\n" +
		"--password-file or of standard input, and the code, if any, the next line of standard input."
	e.addTo(cmd)
	return cmd
}

func newUserList() *cobra.Command {
	var c common
	return c.command("list", "List the users: name, since when, number of devices, whether an admin", cobra.NoArgs,
		func(ctx context.Context, open opener, _ []string) error {
			t, err := open()
			if err != nil {
				return err
			}
			users, err := t.Users(ctx)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, u := range users {
				created := time.UnixMilli(u.Created).UTC()
				if c.json {
					printJSON(map[string]any{"user": u.User, "created": created, "admin": u.Admin, "devices": u.Devices})
					continue
				}
				admin := ""
				if u.Admin {
					admin = "admin"
				}
				rows = append(rows, []string{u.User, timeText(created), fmt.Sprint(u.Devices), admin})
			}
			return printTable(rows...)
		})
}

func newUserDelete() *cobra.Command {
	var c common
	cmd := c.command("delete NAME", "Delete a user, with all devices", cobra.ExactArgs(1),
		func(ctx context.Context, open opener, given []string) error {
			user, err := parseUser(given[0])
			if err != nil {
				return err
			}
			t, err := open()
			if err != nil {
				return err
			}
			if err := t.DeleteUser(ctx, user); err != nil {
				return err
			}
			c.say(map[string]any{"event": "deleted", "user": user}, "%s is deleted", user)
			return tellDaemon(ctx, &c)
		})
	cmd.Long = cmd.Short + ": oneself, or anybody for an admin. Groups that the user owns must be transferred or deleted before.\n" +
		"The name is never given to anybody else."
	return cmd
}

func newUserPassword() *cobra.Command {
	var c common
	var from secrets
	cmd := c.command("password", "Change one's own password; all devices stay logged in", cobra.NoArgs,
		func(ctx context.Context, open opener, _ []string) error {
			was, next, err := from.change()
			defer clear(was)
			defer clear(next)
			if err != nil {
				return err
			}
			t, err := open()
			if err != nil {
				return err
			}
			if err := t.ChangePassword(ctx, was, next); err != nil {
				return err
			}
			devices, err := t.Devices(ctx, "")
			if err != nil {
				return fmt.Errorf("the password is changed, but the devices that stay logged in cannot be told: %w", err)
			}
			c.say(map[string]any{"event": "password", "devices": len(devices)},
				"the password is changed; logged in without it stay all devices, %d (shoal device list, shoal device revoke)", len(devices))
			return nil
		})
	cmd.Long = cmd.Short + ". The password is for logging in; after that a device's key stands\n" +
		"for the user. Where the old password may be known to others, look at shoal device list, and revoke what is not yours.\n\n" +
		"The password up to now is typed once and the new one twice. Without a terminal they are the first two lines of\n" +
		"--password-file or of standard input."
	from.add(cmd)
	return cmd
}

func newDevice() *cobra.Command {
	return family("device", "List, revoke and show devices", newDeviceList(), newDeviceRevoke(), newDeviceShow())
}

func newDeviceList() *cobra.Command {
	var c common
	cmd := c.command("list [USER]", "List one's devices: key, since when, label", cobra.MaximumNArgs(1),
		func(ctx context.Context, open opener, given []string) error {
			user := ""
			if len(given) > 0 {
				var err error
				if user, err = parseUser(given[0]); err != nil {
					return err
				}
			}
			t, err := open()
			if err != nil {
				return err
			}
			devices, err := t.Devices(ctx, user)
			if err != nil {
				return err
			}
			here, err := client.Device(c.state)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, d := range devices {
				enrolled := time.UnixMilli(d.Enrolled).UTC()
				if c.json {
					printJSON(map[string]any{"device": d.Device, "label": d.Label, "enrolled": enrolled, "this": d.Device == here})
					continue
				}
				this := ""
				if d.Device == here {
					this = "this one"
				}
				rows = append(rows, []string{d.Device.String(), timeText(enrolled), d.Label, this})
			}
			return printTable(rows...)
		})
	cmd.Long = cmd.Short + ". An admin can list those of others."
	return cmd
}

func newDeviceRevoke() *cobra.Command {
	var c common
	return c.command("revoke DEVICE", "End a device's enrolment: one that is lost, or not used any more", cobra.ExactArgs(1),
		func(ctx context.Context, open opener, given []string) error {
			device, err := shoal.ParseDeviceID(given[0])
			if err != nil {
				return err
			}
			t, err := open()
			if err != nil {
				return err
			}
			if err := t.RevokeDevice(ctx, device); err != nil {
				return err
			}
			c.say(map[string]any{"event": "revoked", "device": device}, "%s is revoked", device)
			return tellDaemon(ctx, &c)
		})
}
