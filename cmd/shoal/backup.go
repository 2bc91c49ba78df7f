package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"shoal/server"
)

// addEtcd gives cmd the flags that say where the state is, if not in the state folder.
func addEtcd(cmd *cobra.Command, e *server.Etcd) {
	f := cmd.Flags()
	f.StringArrayVar(&e.Endpoints, "etcd", nil, "keep the state in the etcd at this URL instead of --state; can be repeated for the members of a cluster")
	f.StringVar(&e.CAFile, "etcd-ca", "", "the certificate of the authority that certified that etcd, a PEM file")
	f.StringVar(&e.CertFile, "etcd-cert", "", "the certificate that etcd knows this server by, a PEM file")
	f.StringVar(&e.KeyFile, "etcd-key", "", "the key of --etcd-cert, a PEM file")
}

// addHolder gives cmd the flags of what is done with a server's state folder.
func (c *common) addHolder(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.state, "state", stateFolder("server"), "the server's state folder (SHOAL_STATE)")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "log what happens, to stderr")
	f.BoolVar(&c.json, "json", false, "one JSON object a line, to stdout")
}

func newBackup() *cobra.Command {
	var c common
	var etcd server.Etcd
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write all that the server must not lose to a new file, while it runs or not",
		Long: "Write all that the server must not lose to a new file: users, groups, names, and what was answered. The hashes of\n" +
			"passwords are in it, so nobody else may read it. The realm's root key is not: 'shoal server realm export' writes that.",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := checkPath(given[0]); err != nil {
				return err
			}
			path, err := filepath.Abs(given[0])
			if err == nil {
				_, err = os.ReadDir(filepath.Dir(path)) // a server that runs would not tell errors apart
			}
			if err != nil {
				return pathError(err)
			}
			revision, err := server.Backup(cmd.Context(), c.state, etcd, path, c.logger(zerolog.WarnLevel))
			if err != nil {
				return pathError(err)
			}
			if c.json {
				printJSON(map[string]any{"event": "backup", "file": path, "revision": revision})
			} else {
				fmt.Printf("file      %s\nrevision  %d\n", path, revision)
			}
			return nil
		},
	}
	c.addHolder(cmd)
	addEtcd(cmd, &etcd)
	return cmd
}

func newRestore() *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup into a state folder that has no state yet",
		Long: "Put a backup into a state folder that has no state yet, or none any more; no server may run there. The keys in the\n" +
			"folder stay as they are. In a new folder, bring the realm's root key back with 'shoal server realm import' as well.",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := checkPath(given[0]); err != nil {
				return err
			}
			info, err := server.Restore(cmd.Context(), c.state, given[0], c.logger(zerolog.WarnLevel))
			if err != nil {
				return pathError(err)
			}
			if c.json {
				printJSON(map[string]any{"event": "restored", "revision": info.Revision, "keys": info.Keys})
			} else {
				fmt.Printf("revision  %d\nkeys      %d\n", info.Revision, info.Keys)
			}
			return nil
		},
	}
	c.addHolder(cmd)
	return cmd
}
