package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"shoal"
	"shoal/client"
	"shoal/identity"
	"shoal/native"
	"shoal/wire"
)

// common are the flags that every client command has. Each can be given in the environment instead.
type common struct {
	server    string
	state     string
	pin       string
	plaintext string
	keyLog    keyLog
	verbose   bool
	json      bool
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "shoal",
		Short: "Move big files among the machines of a group, each piece from whoever has it",
		Long: "Shoal moves big files among the machines of a group: every member that has a file, or a part of it, serves it,\n" +
			"a download draws on all of them at once, and every piece is verified before it is written.",
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLevel(); err != nil {
				return err
			}
			return checkFlags(cmd)
		},
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if text, _, with := strings.Cut(err.Error(), " in -"); with && strings.HasPrefix(text, "unknown shorthand flag") {
			err = errors.New(text) // what follows -p may be a password
		}
		return shoal.Errorf(shoal.BadRequest, "%w; see: %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(newServer(), newPeer(), newPublish(), newUnpublish(), newStopShare(), newList(), newInfo(), newGet(), newDownloads(), newLimit(), newCat(),
		newUser(), newLogin(), newLogout(), newWhoami(), newDevice(), newGroup(), newInvite(), newSum(), newBench(), newSimulate(), newRPCLog(), newLog(), newSOAP(), newVersion())
	return root
}

// checkLevel refuses a level of hashing that this machine or build does not have.
func checkLevel() error {
	if err := native.Check(); err != nil {
		return shoal.Errorf(shoal.Unsupported, "%w", err)
	}
	return nil
}

// noSuchCommand refuses what follows shoal and is no command.
func noSuchCommand(cmd *cobra.Command, given []string) error {
	if len(given) == 0 {
		return nil
	}
	hint := ""
	if similar := cmd.SuggestionsFor(given[0]); len(similar) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", similar[0])
	}
	return shoal.Errorf(shoal.BadRequest, "there is no command %q%s; see: shoal --help", given[0], hint)
}

// add gives cmd the common flags.
func (c *common) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.server, "server", os.Getenv("SHOAL_SERVER"), "the server's HOST:PORT; default: the one known here (SHOAL_SERVER)")
	f.StringVar(&c.pin, "pin", os.Getenv("SHOAL_PIN"), "the realm fingerprint that the server printed, for the first contact (SHOAL_PIN)")
	c.addLocal(cmd, "client")
	c.keyLog.add(cmd)
}

// addLocal gives cmd the flags that the server has too.
func (c *common) addLocal(cmd *cobra.Command, role string) {
	f := cmd.Flags()
	f.StringVar(&c.state, "state", stateFolder(role), "the folder for keys and what is remembered (SHOAL_STATE)")
	f.StringVar(&c.plaintext, "plaintext", os.Getenv("SHOAL_PLAINTEXT"), "no encryption, loopback only; \"any\" for every wire you trust (SHOAL_PLAINTEXT)")
	f.Lookup("plaintext").NoOptDefVal = "loopback"
	f.BoolVarP(&c.verbose, "verbose", "v", false, "log what happens, to stderr")
	f.BoolVar(&c.json, "json", false, "one JSON object a line, to stdout; what is logged to stderr likewise")
}

// stateFolder is the default for --state: from the environment, or the user's data folder (XDG Base Directory).
func stateFolder(role string) string {
	if state := os.Getenv("SHOAL_STATE"); state != "" {
		return state
	}
	base := os.Getenv("XDG_DATA_HOME")
	if home, err := os.UserHomeDir(); base == "" && err == nil {
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "shoal", role)
}

func (c *common) transport() (identity.Transport, error) {
	switch c.plaintext {
	case "", "0", "false":
		return identity.Transport{Security: wire.TLS}, nil
	case "loopback", "1", "true":
		return identity.Transport{Security: wire.Plaintext}, nil
	case "any":
		return identity.Transport{Security: wire.Plaintext, AnyAddress: true}, nil
	}
	return identity.Transport{}, shoal.Errorf(shoal.BadRequest, "--plaintext is given alone, or as --plaintext=any, not %q", c.plaintext)
}

// config is what the flags say.
func (c *common) config(level zerolog.Level) (client.Config, error) {
	config := client.Config{Server: c.server, State: c.state, Log: c.logger(level)}
	var err error
	if config.Transport, err = c.transport(); err != nil {
		return config, err
	}
	if config.Transport.KeyLog, err = c.keyLog.open(); err != nil {
		return config, err
	}
	c.keyLog.warn(c.logger(zerolog.WarnLevel))
	if c.pin != "" {
		realm, err := shoal.ParseRealmKey(strings.TrimSpace(c.pin))
		if err != nil {
			return config, fmt.Errorf("--pin: %w", err)
		}
		config.Pin = &realm
	}
	if term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())) {
		config.Confirm = confirm
	}
	return config, nil
}

func (c *common) logger(level zerolog.Level) zerolog.Logger {
	if c.verbose {
		level = zerolog.DebugLevel
	}
	zerolog.TimeFieldFormat = time.RFC3339Nano // or the milliseconds would be zeros
	return zerolog.New(c.console()).Level(level).With().Timestamp().Logger()
}

// console is where it is logged to: lines for people, or with --json for programs, which take a tenth of the work.
func (c *common) console() io.Writer {
	if c.json {
		return os.Stderr
	}
	return zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: "15:04:05.000", NoColor: !term.IsTerminal(int(os.Stderr.Fd()))}
}

// confirm asks at the first contact with a server whether its realm is the right one.
func confirm(server string, realm shoal.RealmKey) error {
	fmt.Fprintf(os.Stderr, "This is the first contact with the server at %s. Its realm fingerprint is\n\n    %s\n\n"+
		"Compare it with what the server printed when it was started, and type or paste that to go on: ", server, realm)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return shoal.Errorf(shoal.Canceled, "nothing was typed; the server is not trusted")
	}
	if typed, err := shoal.ParseRealmKey(strings.TrimSpace(line)); err != nil || typed != realm {
		return shoal.Errorf(shoal.Untrusted, "that is not the fingerprint which the server at %s shows; it is not trusted", server)
	}
	return nil
}

// args makes cobra's argument errors errors of usage.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return shoal.Errorf(shoal.BadRequest, "%w; see: %s --help", err, cmd.CommandPath())
		}
		return nil
	}
}

// joinFailures makes one error of those of several files: the first one's code decides.
func joinFailures(failures []error) error {
	if len(failures) == 0 {
		return nil
	}
	return saidError{errors.Join(failures...)}
}
