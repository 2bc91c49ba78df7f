package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"unicode"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"shoal"
	"shoal/client"
	"shoal/server"
	"shoal/server/session"
)

func newServer() *cobra.Command {
	var c common
	var log logging
	var config server.Config
	var readers []string
	var registration string
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run a server: it knows who has what, and never carries pieces",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if config.Transport, err = c.transport(); err != nil {
				return err
			}
			if config.Transport.KeyLog, err = c.keyLog.open(); err != nil {
				return err
			}
			if config.LogReaders, err = parseDevices("--log-reader", readers); err != nil {
				return err
			}
			if config.Registration, err = parseRegistration(registration); err != nil {
				return err
			}
			logger, err := log.open(&c, server.Device)
			if err != nil {
				return err
			}
			defer log.close()
			c.keyLog.warn(logger)
			config.State, config.Logger = c.state, logger
			s, err := server.New(cmd.Context(), config)
			if err != nil {
				return err
			}
			defer serveProfiles(cmd.Context(), c.state, logger)()
			if c.json {
				event := map[string]any{"event": "listening", "address": s.Addr().String(), "realm": s.Realm().String()}
				if code := s.FirstCode(); code != "" {
					event["first_user_code"] = code
				}
				printJSON(event)
			} else {
				fmt.Printf("address  %s\nrealm    %s\n\nOn each machine that shares files, with an address of this one that it can reach:\n\n"+
					"    shoal peer --server %s --pin %s\n", s.Addr(), s.Realm(), reachable(s.Addr().String()), s.Realm())
				if code := s.FirstCode(); code != "" {
					fmt.Printf("\nThere is no user yet. Whoever has this code can make the first one, until the server starts again:\n\n    %s\n", code)
				}
			}
			return s.Run(cmd.Context())
		},
	}
	c.addLocal(cmd, "server")
	c.keyLog.add(cmd)
	log.add(cmd)
	addEtcd(cmd, &config.Etcd)
	cmd.AddCommand(newBackup(), newRestore(), newRealm(), newServerUser(), newServerDevice())
	f := cmd.Flags()
	f.StringVar(&config.Listen, "listen", ":7400", "the address to listen on, HOST:PORT; port 0 for any free one")
	f.StringVar(&config.Soap, "soap", os.Getenv("SHOAL_SOAP"), "the enrichment service's URL, which tells what published files are (SHOAL_SOAP)")
	f.StringVar(&registration, "registration", envOr("SHOAL_REGISTRATION", "invite"), "who may make a user: open (everybody), invite (who has one), closed (SHOAL_REGISTRATION)")
	f.StringVar(&config.LogSocket, "log-socket", "", "the log service's socket: log.sock in its state folder, for those who may read the log")
	f.BoolVar(&config.PrivateMirrors, "private-mirrors", false, "let clients fetch from mirrors in private networks, and on their own machine")
	f.StringArrayVar(&readers, "log-reader", nil, "a device that may read the log through the server; can be repeated")
	return cmd
}

// parseRegistration reads the flag of that name.
func parseRegistration(text string) (session.Registration, error) {
	switch text {
	case "open":
		return session.Open, nil
	case "invite":
		return session.ByInvite, nil
	case "closed":
		return session.Closed, nil
	}
	return 0, shoal.Errorf(shoal.BadRequest, "--registration is open, invite or closed, not %q", text)
}

// parseDevices reads the devices that a flag names.
func parseDevices(flag string, texts []string) (devices []shoal.DeviceID, err error) {
	for _, text := range texts {
		d, err := shoal.ParseDeviceID(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", flag, text, err)
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// mostAtOnce is how many queued downloads a peer may run at a time.
const mostAtOnce = 1000

func newPeer() *cobra.Command {
	var c common
	var log logging
	var dir, listen string
	var atOnce int
	var r rates
	cmd := &cobra.Command{
		Use:   "peer",
		Short: "Run a peer: it serves what is published from here and what was fetched",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := c.config(zerolog.InfoLevel)
			if err != nil {
				return err
			}
			config.Listen, config.Limits = listen, r.limits()
			if config.AtOnce = atOnce; atOnce < 1 || atOnce > mostAtOnce {
				return shoal.Errorf(shoal.BadRequest, "--downloads is %d, and must be 1 to %d", atOnce, mostAtOnce)
			}
			if config.Log, err = log.open(&c, client.Device); err != nil {
				return err
			}
			defer log.close()
			debug.SetGCPercent(peerGarbage)
			d, err := client.OpenDaemon(cmd.Context(), config, dir)
			if err != nil {
				return err
			}
			defer serveProfiles(cmd.Context(), c.state, config.Log)()
			if c.json {
				printJSON(map[string]any{"event": "serving", "address": d.Address(), "device": d.Device()})
			} else {
				fmt.Printf("address  %s\ndevice   %s\n", d.Address(), d.Device())
			}
			return d.Run(cmd.Context())
		},
	}
	c.add(cmd)
	log.add(cmd)
	r.add(cmd)
	cmd.Flags().StringVar(&dir, "dir", "", "the folder where files that are fetched go, unless get -o says otherwise")
	cmd.Flags().IntVar(&atOnce, "downloads", client.DefaultAtOnce, "how many queued downloads run at a time")
	cmd.Flags().StringVar(&listen, "listen", "", "the address for other peers, HOST:PORT; default: any free port")
	return cmd
}

// peerGarbage is how much garbage a peer lets lie, in percent of what it has in use: less than Go on its own, but not so little
// that connections that come and go keep the collector busy.
const peerGarbage = 40

// keepHeapSmall makes the garbage collector run early. What moves pieces has next to nothing alive, and would otherwise
// grow by as much garbage as Go thinks is small.
func keepHeapSmall() { debug.SetGCPercent(5) }

// printJSON prints one event. What a terminal would obey is escaped, in ways that JSON allows.
func printJSON(event any) {
	line, err := json.Marshal(event)
	if err != nil {
		return // only what has no form in JSON, and there is none of that
	}
	fmt.Println(escaped(string(line)))
}

// escaped writes the characters of a JSON text that printable replaces as escapes: they are in strings.
func escaped(line string) string {
	if shoal.Printable(line) == line {
		return line
	}
	var b strings.Builder
	for _, r := range line {
		if r != unicode.ReplacementChar && shoal.Printable(string(r)) != string(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
