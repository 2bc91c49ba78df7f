package server

import (
	"context"
	"sync"

	"shoal/server/audit"
	"shoal/server/enrichment"
	"shoal/soap"
)

// background is what works beside the sessions, which never wait for it.
type background struct {
	audit *audit.Log
	facts *enrichment.Queue // nil without an enrichment service
	soap  *soap.Client      // nil without one
}

// attach makes the server use an enrichment service, or none where it is nil, and audit. It is called before Run.
func (s *Server) attach(enricher *soap.Client) {
	if enricher == nil {
		s.beside = background{audit: audit.New(s.log, nil)}
	} else {
		s.beside = background{
			audit: audit.New(s.log, enricher), facts: enrichment.New(s.host.Registry, enricher, s.log), soap: enricher,
		}
	}
	s.host.Audit, s.host.Facts = s.beside.audit, s.beside.facts
}

// run works until the end of sessions, which follows that of ctx. Then what has been recorded is written.
func (b *background) run(ctx context.Context, sessions func()) {
	recording, stop := context.WithCancel(context.WithoutCancel(ctx))
	var all, writing sync.WaitGroup
	writing.Go(func() { b.audit.Run(recording) })
	if b.facts != nil {
		all.Go(func() { b.facts.Run(ctx) })
	}
	sessions()
	all.Wait()
	stop()
	writing.Wait()
	if b.soap != nil {
		b.soap.Close()
	}
}
