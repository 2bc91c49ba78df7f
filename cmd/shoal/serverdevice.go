package main

import (
	"fmt"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"shoal"
	"shoal/client"
	"shoal/server"
)

func newServerDevice() *cobra.Command {
	var c common
	var etcd server.Etcd
	var label string
	cmd := &cobra.Command{
		Use:   "device USER DEVICE",
		Short: "Enrol a device as one of a user's, as whoever holds the server's state folder",
		Long: "Enrol a device as one of a user's, as whoever holds the server's state folder: no password is needed. It is the way\n" +
			"onto a server that speaks --plaintext, over which no password is sent. A peer prints its device when it starts, and\n" +
			"shoal device show prints that of a state folder.",
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			user, err := parseUser(given[0])
			if err != nil {
				return err
			}
			device, err := shoal.ParseDeviceID(given[1])
			if err != nil {
				return err
			}
			if err := server.AddDevice(cmd.Context(), c.state, etcd, user, device, label, c.logger(zerolog.WarnLevel)); err != nil {
				return err
			}
			c.say(map[string]any{"event": "enrolled", "user": user, "device": device}, "%s is one of %s's devices now", device, user)
			return nil
		},
	}
	c.addHolder(cmd)
	addEtcd(cmd, &etcd)
	cmd.Flags().StringVar(&label, "label", "", "how the device is called in lists")
	return cmd
}

func newDeviceShow() *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print this device's public key, which is made if there is none yet",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			device, err := client.Device(c.state)
			if err != nil {
				return err
			}
			if c.json {
				printJSON(map[string]any{"event": "device", "device": device})
			} else {
				fmt.Println(device)
			}
			return nil
		},
	}
	c.addLocal(cmd, "client")
	return cmd
}
