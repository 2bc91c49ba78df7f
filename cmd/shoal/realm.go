package main

import (
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"shoal"
	"shoal/server"
)

func newRealm() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "realm",
		Short: "Take the realm's root key away, bring it back, or replace it",
		Long: "The realm's root key, which clients pin, certifies the keys of servers and of tickets. Who has it can speak for the\n" +
			"whole realm, and who loses it can only begin a new one: export it, and keep it in two places. No server may run in the\n" +
			"folder meanwhile.",
		Args: noSuchRealmCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRealmExport(), newRealmImport(), newRealmRotate())
	return cmd
}

func noSuchRealmCommand(cmd *cobra.Command, given []string) error {
	if len(given) > 0 {
		return shoal.Errorf(shoal.BadRequest, "there is no command %q; see: %s --help", given[0], cmd.CommandPath())
	}
	return nil
}

// printRealm says which realm it is about.
func (c *common) printRealm(event string, realm shoal.RealmKey, also string) {
	if c.json {
		printJSON(map[string]any{"event": event, "realm": realm.String()})
		return
	}
	fmt.Printf("realm  %s\n%s", realm, also)
}

func newRealmExport() *cobra.Command {
	var c common
	var offline bool
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the root key to a new file, and with --offline take it out of the folder",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) (err error) {
			r, err := server.OpenRootKey(c.state)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.Close()) }()
			if err := r.Export(given[0], offline); err != nil {
				return err
			}
			also := ""
			if offline {
				also = "\nThe server runs without this key for a year. Before that, import it, and export it again.\n"
			}
			c.printRealm("exported", r.Realm(), also)
			return nil
		},
	}
	c.addHolder(cmd)
	cmd.Flags().BoolVar(&offline, "offline", false, "take the key out of the folder: the server can run for a year without it")
	return cmd
}

func newRealmImport() *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Put an exported root key into the folder it came from, or into a new one",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error {
			realm, err := server.ImportRootKey(c.state, given[0])
			if err != nil {
				return err
			}
			c.printRealm("imported", realm, "")
			return nil
		},
	}
	c.addHolder(cmd)
	return cmd
}

func newRealmRotate() *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new root key, to which the one up to now leads all who know that",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) (err error) {
			r, err := server.OpenRootKey(c.state)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.Close()) }()
			realm, err := r.Rotate()
			if err != nil {
				return err
			}
			c.printRealm("rotated", realm, "\nExport it again: what was exported before is the key of the past.\n")
			return nil
		},
	}
	c.addHolder(cmd)
	return cmd
}

func newServerUser() *cobra.Command {
	var c common
	var etcd server.Etcd
	var from secrets
	cmd := &cobra.Command{
		Use:   "user NAME",
		Short: "Make a user, as whoever holds the server's state folder; the first one is an admin",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			password, err := from.password(given[0], true)
			if err != nil {
				return err
			}
			defer clear(password)
			if err := server.CreateUser(cmd.Context(), c.state, etcd, given[0], password, c.logger(zerolog.WarnLevel)); err != nil {
				return err
			}
			if c.json {
				printJSON(map[string]any{"event": "created", "user": given[0]})
			} else {
				fmt.Printf("user  %s\n", printable(given[0]))
			}
			return nil
		},
	}
	c.addHolder(cmd)
	addEtcd(cmd, &etcd)
	from.add(cmd)
	return cmd
}
