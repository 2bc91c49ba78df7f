package main

import (
	"context"
	"net/http"
	"net/http/pprof"
	"runtime"

	"github.com/rs/zerolog"

	"shoal/ownsocket"
)

// profilesSocket is where a daemon tells what its time and memory go to, in its state folder.
const profilesSocket = "pprof.sock"

// lockSample is of how many times that somebody waited for a lock one is written down: few enough to cost nothing.
const lockSample = 100

// serveProfiles serves the profiles of package net/http/pprof to the owner of the state folder, who knows by its lock
// that no other daemon runs there. It goes on until ctx ends or end
// is called, which waits for that. Where there can be no socket, as on a full disk, the
// daemon does without.
func serveProfiles(ctx context.Context, state string, log zerolog.Logger) (end func()) {
	socket, err := ownsocket.Listen(state, profilesSocket)
	if err != nil {
		log.Warn().Err(err).Msg("there are no profiles of this daemon")
		return func() {}
	}
	runtime.SetMutexProfileFraction(lockSample)
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index) // which has heap, goroutine, mutex and the like below it
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// It is removed as soon as ctx ends, while the daemon still has the folder: the next one's has the same name.
		defer socket.Close()
		if err := socket.Serve(ctx, mux); err != nil {
			log.Warn().Err(err).Msg("the profiles of this daemon ended early")
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
