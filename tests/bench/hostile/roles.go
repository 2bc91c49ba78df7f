package main

import (
	"context"
	"flag"
	"fmt"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
)

// counts are what an attacker has done.
type counts struct {
	opened  atomic.Int64 // connections
	failed  atomic.Int64 // that could not be
	written atomic.Int64 // bytes
}

// begun is closed by an attacker that has come to its full strength.
type begun chan struct{}

// A role is what this program does as a process that a figure started, until ctx ends. which are its targets.
type role func(ctx context.Context, t *targets, which []string, n *counts, b begun) error

// roles by the first argument.
var roles = map[string]role{
	"honest": func(ctx context.Context, t *targets, which []string, _ *counts, b begun) error {
		close(b)
		return askHonestly(ctx, t, which)
	},
	"silent": playSilent, "hellos": playHellos, "strangers": playStrangers, "noise": playNoise,
	"trickle-tls": playTrickle(hidden, 0), "trickle-hello": playTrickle(greeting, helloRate), "trickle-frame": playTrickle(body, helloRate),
	"trickle-rpc": playTrickle(marks, 0), "trickle-http": playTrickle(header, 0), "trickle-soap": playTrickle(envelope, 0),
}

// playRole plays a role within its cgroup, and tells when it has begun and, in the end, what it has done.
func playRole(name string, args []string) error {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	group := f.String("cgroup", "", "the folder of the cgroup to enter")
	file := f.String("targets", "", "the file that says what to talk to")
	at := f.String("at", "", "which of them, separated by commas")
	if err := f.Parse(args); err != nil {
		return err
	}
	if err := enter(*group); err != nil {
		return err
	}
	t, err := loadTargets(*file)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var n counts
	b := make(begun)
	ended := make(chan error, 1)
	go func() { ended <- roles[name](ctx, t, strings.Split(*at, ","), &n, b) }()
	select {
	case <-b:
		fmt.Println(`{"event":"begun"}`)
	case err := <-ended:
		return err
	}
	err = <-ended
	fmt.Printf("{\"opened\":%d,\"failed\":%d,\"written\":%d}\n", n.opened.Load(), n.failed.Load(), n.written.Load())
	return err
}
