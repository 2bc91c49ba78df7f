package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"shoal/soap/service"
)

func newSOAP() *cobra.Command {
	var c common
	var log logging
	var config service.Config
	cmd := &cobra.Command{
		Use:   "soap",
		Short: "Run the enrichment service: it tells what files are, over SOAP",
		Long: "Run the enrichment service: it tells what files are from their names, sizes and beginnings, and gives the server's\n" +
			"audit log a time and numbers of its own. It speaks SOAP 1.1, and describes itself in WSDL at the address it prints.\n" +
			"Beyond loopback it needs a certificate, whose authority the server's system must know.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if config.KeyLog, err = c.keyLog.open(); err != nil {
				return err
			}
			logger, err := log.open(&c, service.Device)
			if err != nil {
				return err
			}
			defer log.close()
			c.keyLog.warn(logger)
			config.State, config.Log = c.state, logger
			s, err := service.New(config)
			if err != nil {
				return err
			}
			defer serveProfiles(cmd.Context(), c.state, logger)()
			if c.json {
				printJSON(map[string]any{"event": "listening", "address": s.Addr().String(), "url": s.URL(), "wsdl": s.URL() + "?wsdl"})
			} else {
				fmt.Printf("wsdl  %s?wsdl\n\nTo let a server ask it:\n\n    shoal server --soap %[1]s\n", s.URL())
			}
			return s.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&config.Listen, "listen", "127.0.0.1:7402", "the address to listen on, HOST:PORT; port 0 for any free one")
	f.StringVar(&config.Certificate, "cert", os.Getenv("SHOAL_CERT"), "the file of the certificate, PEM, needed beyond loopback (SHOAL_CERT)")
	f.StringVar(&config.Key, "key", os.Getenv("SHOAL_KEY"), "the file of the certificate's key, PEM (SHOAL_KEY)")
	f.StringVar(&c.state, "state", stateFolder("soap"), "the folder for what must outlive the process (SHOAL_STATE)")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "log what happens, to stderr")
	f.BoolVar(&c.json, "json", false, "one JSON object a line, to stdout")
	c.keyLog.add(cmd)
	log.add(cmd)
	return cmd
}
