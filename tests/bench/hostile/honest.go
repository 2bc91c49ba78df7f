package main

import (
	"context"
	"sync"
)

// workers is how many honest clients there are of each sort in place of an attacker.
const workers = 4

// perSession is how often each asks before it comes anew.
const perSession = 20

// loads are what honest clients do in place of an attacker, by what they ask.
var loads = map[string]func(context.Context, *targets) error{
	"server": func(ctx context.Context, t *targets) error {
		a, err := t.session(ctx)
		if err != nil {
			return err
		}
		defer a.Close()
		for i := 0; i < perSession && err == nil; i++ {
			err = t.lookUp(a, i%8 == 0)
		}
		return err
	},
	"peer": func(ctx context.Context, t *targets) error {
		f := &fetcher{t: t}
		defer f.end()
		var err error
		for i := 0; i < perSession && err == nil; i++ {
			err = f.do(ctx)
		}
		return err
	},
	"rpclog": func(ctx context.Context, t *targets) error {
		p := &appender{t: t}
		defer p.end()
		var err error
		for i := 0; i < perSession && err == nil; i++ {
			err = p.do(ctx)
		}
		return err
	},
	"soap": func(ctx context.Context, t *targets) error {
		s := &stamper{t: t}
		defer s.end()
		var err error
		for i := 0; i < perSession && err == nil; i++ {
			err = s.do(ctx)
		}
		return err
	},
}

// askHonestly is what a process does in place of an attacker, until ctx ends.
func askHonestly(ctx context.Context, t *targets, which []string) error {
	var all sync.WaitGroup
	for _, name := range which {
		for range workers {
			all.Go(func() {
				for ctx.Err() == nil {
					_ = loads[name](ctx, t) // what goes wrong shows in what is measured
				}
			})
		}
	}
	all.Wait()
	return nil
}
