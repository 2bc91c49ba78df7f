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
		Short: "Show the realm's keys, revoke one, or take the root key away, bring it back or replace it",
		Long: "The realm's root key, which clients pin, certifies the keys of servers and of tickets. Who has it can speak for the\n" +
			"whole realm, and who loses it can only begin a new one: export it, and keep it in two places. While it is exported,\n" +
			"imported or rotated no server may run in the folder; show and revoke work with and without one.",
		Args: noSuchRealmCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRealmExport(), newRealmImport(), newRealmRotate(), newRealmShow(), newRealmRevoke())
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
			if err := checkPath(given[0]); err != nil {
				return err
			}
			r, err := server.OpenRootKey(c.state)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.Close()) }()
			if err := r.Export(given[0], offline); err != nil {
				return pathError(err)
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
		Short: "Put an exported root key into the folder it came from, that of another server of the realm, or a new one",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error {
			if err := checkPath(given[0]); err != nil {
				return err
			}
			realm, err := server.ImportRootKey(c.state, given[0])
			if err != nil {
				return pathError(err)
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

func newRealmShow() *cobra.Command {
	var c common
	var etcd server.Etcd
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the realm's keys, and which of them were revoked",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			is, err := server.RealmOf(cmd.Context(), c.state, etcd, c.logger(zerolog.WarnLevel))
			if err != nil {
				return err
			}
			if c.json {
				printJSON(is)
				return nil
			}
			rows := [][]string{
				{"realm", is.Realm},
				{"root key", map[bool]string{true: "in the folder", false: "elsewhere"}[is.RootHere]},
				{"rotations", fmt.Sprint(is.Rotations)},
				{"server", is.Server},
				{"tickets", is.Tickets},
				{"certified until", timeText(is.CertifiedUntil)},
			}
			for _, r := range is.Revoked {
				rows = append(rows, []string{"revoked", r.Key, "until " + timeText(r.Until)})
			}
			return printTable(rows...)
		},
	}
	c.addHolder(cmd)
	addEtcd(cmd, &etcd)
	return cmd
}

func newRealmRevoke() *cobra.Command {
	var c common
	var etcd server.Etcd
	var root string
	cmd := &cobra.Command{
		Use:   "revoke KEY",
		Short: "Let nothing count any more that goes through a key of the realm",
		Long: "Let nothing count any more that goes through a key of the realm: a server's, one that signs tickets, or an earlier root\n" +
			"key. 'shoal server realm show' lists the keys of each server's folder. Clients are told at once, or when they connect, and\n" +
			"remember it. A server makes a new key for tickets in place of one that is revoked. A server whose own key is revoked\n" +
			"stops, and makes a new one at its next start if the root key is in its folder; stop it before you revoke its key there.",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := server.RevokeKey(cmd.Context(), c.state, etcd, given[0], root, c.logger(zerolog.WarnLevel)); err != nil {
				return err
			}
			c.say(map[string]any{"event": "revoked", "key": given[0]}, "%s does not count any more", given[0])
			return nil
		},
	}
	c.addHolder(cmd)
	addEtcd(cmd, &etcd)
	cmd.Flags().StringVar(&root, "root", "", "the exported root key, where it is not in the folder")
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
				fmt.Printf("user  %s\n", shoal.Printable(given[0]))
			}
			return nil
		},
	}
	c.addHolder(cmd)
	addEtcd(cmd, &etcd)
	from.add(cmd)
	return cmd
}
