package sender

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal/rpclog/service"
)

// runService makes the test program the log service, in the folder that the variable names, at the address that follows.
const runService = "SHOAL_TEST_LOG_SERVICE"

func TestMain(m *testing.M) {
	if state := os.Getenv(runService); state != "" {
		if err := serve(state, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func serve(state, address string) error {
	s, err := service.New(service.Config{Listen: address, State: state, Log: zerolog.Nop()})
	if err != nil {
		return err
	}
	fmt.Println(s.Addr())
	return s.Run(context.Background())
}
