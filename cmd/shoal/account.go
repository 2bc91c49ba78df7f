package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"shoal"
	"shoal/client"
	"shoal/client/tracker"
	"shoal/wire"
)

// opener connects to the server, when what was given is known to make sense.
type opener func() (*tracker.Tracker, error)

// command makes a command that asks the server; do is given what the command line says.
func (c *common) command(use, short string, check cobra.PositionalArgs, do func(context.Context, opener, []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args(check),
		RunE: func(cmd *cobra.Command, given []string) error {
			var cl *client.Client
			defer func() {
				if cl != nil {
					cl.Close()
				}
			}()
			return do(cmd.Context(), func() (_ *tracker.Tracker, err error) {
				if cl, err = c.open(cmd.Context()); err != nil {
					cl = nil // closed already
					return nil, err
				}
				return cl.Session(), nil
			}, given)
		},
	}
	c.add(cmd)
	return cmd
}

// family makes a command that only has others below it.
func family(use, short string, members ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, given []string) error {
			if len(given) == 0 {
				return nil
			}
			return shoal.Errorf(shoal.BadRequest, "there is no command %q; see: %s --help", given[0], cmd.CommandPath())
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(members...)
	return cmd
}

// say tells that something is done: a sentence, or an event with --json.
func (c *common) say(event map[string]any, format string, args ...any) {
	if c.json {
		printJSON(event)
		return
	}
	fmt.Println(shoal.Printable(fmt.Sprintf(format, args...)))
}

// deviceLabel is how a device is called unless its user says otherwise: as its machine is.
func deviceLabel() string {
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	label, err := shoal.ParseName(host)
	if err != nil {
		return ""
	}
	return string(label)
}

// enrolment is what registering and logging in have in common.
type enrolment struct {
	common
	secrets
	label string
}

func (e *enrolment) addTo(cmd *cobra.Command) {
	e.secrets.add(cmd)
	cmd.Flags().StringVar(&e.label, "label", deviceLabel(), "how this device is called in lists")
}

// credentials checks what was given and asks for the user's password, a new one twice. The caller clears it.
func (e *enrolment) credentials(name string, fresh bool) (user string, password wire.Secret, err error) {
	if user, err = parseUser(name); err != nil {
		return "", nil, err
	}
	if e.label != "" {
		if _, err := shoal.ParseName(e.label); err != nil {
			return "", nil, fmt.Errorf("--label: %w", err)
		}
	}
	password, err = e.password(user, fresh)
	return user, password, err
}

// tellDaemon lets the running peer connect again: what this device may do has changed.
func tellDaemon(ctx context.Context, c *common) error {
	daemon, err := client.FindDaemon(c.state)
	if err != nil || daemon == nil {
		return err
	}
	defer daemon.Close()
	return daemon.Reconnect(ctx)
}

func newLogin() *cobra.Command {
	var e enrolment
	cmd := e.command("login NAME", "Enrol this device as one of a user's", cobra.ExactArgs(1),
		func(ctx context.Context, open opener, given []string) error {
			user, password, err := e.credentials(given[0], false)
			if err != nil {
				return err
			}
			defer clear(password)
			t, err := open()
			if err != nil {
				return err
			}
			if err := t.Login(ctx, user, password, e.label); err != nil {
				return err
			}
			e.say(map[string]any{"event": "login", "user": user}, "this device is %s's now", user)
			return tellDaemon(ctx, &e.common)
		})
	cmd.Long = cmd.Short + ". The password is typed, or read from --password-file or standard input. From then on this\n" +
		"device's key stands for the user, in all commands with the same --state, until shoal logout."
	e.addTo(cmd)
	return cmd
}

func newLogout() *cobra.Command {
	var c common
	return c.command("logout", "End this device's enrolment", cobra.NoArgs,
		func(ctx context.Context, open opener, _ []string) error {
			t, err := open()
			if err != nil {
				return err
			}
			if err := t.Logout(ctx); err != nil {
				return err
			}
			c.say(map[string]any{"event": "logout"}, "this device is nobody's now")
			return tellDaemon(ctx, &c)
		})
}

func newWhoami() *cobra.Command {
	var c common
	return c.command("whoami", "Show whose device this is", cobra.NoArgs,
		func(ctx context.Context, open opener, _ []string) error {
			t, err := open()
			if err != nil {
				return err
			}
			me, err := t.Whoami(ctx)
			if err != nil {
				return err
			}
			device, err := client.Device(c.state)
			if err != nil {
				return err
			}
			enrolled := time.UnixMilli(me.Enrolled).UTC()
			if c.json {
				printJSON(map[string]any{"user": me.User, "admin": me.Admin, "device": device, "label": me.Label, "enrolled": enrolled})
				return nil
			}
			return printTable([]string{"user", me.User}, []string{"admin", yesNo(me.Admin)}, []string{"device", device.String()},
				[]string{"label", me.Label}, []string{"enrolled", timeText(enrolled)})
		})
}
