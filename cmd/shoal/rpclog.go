package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"shoal"
	"shoal/rpclog/journal"
	"shoal/rpclog/service"
)

// minKeep is the least that the log service can be told to keep, in bytes.
const minKeep = 16 << 20

func newRPCLog() *cobra.Command {
	var c common
	var listen, keep string
	cmd := &cobra.Command{
		Use:   "rpclog",
		Short: "Run the log service: it stores what the daemons log",
		Long: "Run the log service: it stores what the daemons log that are started with --rpclog and --rpclog-key.\n\n" +
			"On a loopback address it takes calls over TCP and UDP; on others, which can be reached from elsewhere, over TCP and\n" +
			"with TLS only. Senders need a copy of the key file; what others send is kept apart, as unverified. 'shoal log' reads\n" +
			"the log. Of the space that --keep gives, what is unverified gets another eighth.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			limit, err := parseBytes(keep)
			if err != nil || limit < minKeep {
				return shoal.Errorf(shoal.BadRequest, "--keep takes a size of at least 16M, such as 500M or 4G, not %q", keep)
			}
			log := c.logger(zerolog.InfoLevel)
			keys, err := c.keyLog.open()
			if err != nil {
				return err
			}
			c.keyLog.warn(log)
			s, err := service.New(service.Config{
				Listen: listen, State: c.state, Limits: journal.Limits{Keep: limit}, Register: true, KeyLog: keys, Log: log,
			})
			if err != nil {
				return err
			}
			defer serveProfiles(cmd.Context(), c.state, log)()
			if c.json {
				printJSON(map[string]any{"event": "listening", "address": s.Addr().String(), "key": s.KeyFile(), "socket": s.Socket()})
			} else {
				fmt.Printf("address  %s\nkey      %s\n\nStart the daemons whose log is to be stored, with a copy of the key, as:\n\n"+
					"    shoal server --rpclog %s --rpclog-key %[2]s\n", s.Addr(), s.KeyFile(), reachable(s.Addr().String()))
			}
			return s.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:7401", "the address to listen on, HOST:PORT; port 0 for any free one")
	f.StringVar(&c.state, "state", stateFolder("rpclog"), "the folder for the key and the log (SHOAL_STATE)")
	f.StringVar(&keep, "keep", envOr("SHOAL_KEEP", "4G"), "how much log to keep; beyond that the oldest goes (SHOAL_KEEP)")
	c.keyLog.add(cmd)
	f.BoolVarP(&c.verbose, "verbose", "v", false, "log what happens, to stderr")
	f.BoolVar(&c.json, "json", false, "one JSON object a line, to stdout")
	return cmd
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// parseBytes reads a size for people: a whole number, and K, M, G or T for powers of 1024; iB or B may follow.
func parseBytes(s string) (int64, error) {
	digits := strings.TrimRight(s, "KMGTkmgtiB ")
	unit := strings.ToUpper(strings.TrimSpace(s[len(digits):]))
	shift, ok := map[string]int{"": 0, "K": 10, "KI": 10, "M": 20, "MI": 20, "G": 30, "GI": 30, "T": 40, "TI": 40}[strings.TrimSuffix(unit, "B")]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 0 || n > 1<<62>>shift {
		return 0, shoal.Errorf(shoal.BadRequest, "%q is no size", s)
	}
	return n << shift, nil
}
