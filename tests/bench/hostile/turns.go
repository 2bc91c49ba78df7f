package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

const (
	half       = 0.5 // cores
	settleTime = time.Second
	// latencyBar is how much longer than beside honest load others may wait.
	latencyBar = 2.0
	// memoryBar is by how many MiB a daemon may grow over what it had with honest load: 4096 connections that have said nothing,
	// with some 5 KiB each, and 1024 handshakes that are under way, with some 40 KiB.
	memoryBar = 64
	// garbage is how many MiB of garbage a server lets lie, however little it has in use.
	garbage = 128
	// calm is how many cores other programs may take in a round at most, that it counts; patient is how many rounds there may be
	// for one that counts. Where there are not enough, the calmest count.
	calm    = 0.8
	patient = 3
)

// An attack is what is done, to which daemons.
type attack struct {
	name, role string
	at         []string
	memory     float64 // the bar in MiB where that is another
}

var attacks = []attack{
	{name: "silent-server", role: "silent", at: []string{"server"}},
	{name: "silent-peer", role: "silent", at: []string{"peer"}},
	{name: "silent-services", role: "silent", at: []string{"rpclog", "soap"}},
	{name: "trickle-tls", role: "trickle-tls", at: []string{"server", "peer"}},
	{name: "trickle-hello", role: "trickle-hello", at: []string{"server", "peer"}},
	{name: "trickle-frame", role: "trickle-frame", at: []string{"server", "peer"}},
	{name: "trickle-rpc", role: "trickle-rpc", at: []string{"rpclog"}},
	{name: "trickle-http", role: "trickle-http", at: []string{"soap"}},
	{name: "trickle-soap", role: "trickle-soap", at: []string{"soap"}},
	{name: "hellos-server", role: "hellos", at: []string{"server"}},
	{name: "hellos-peer", role: "hellos", at: []string{"peer"}},
	{name: "strangers-server", role: "strangers", at: []string{"server"}, memory: 512}, // 10,000 sessions
	{name: "strangers-peer", role: "strangers", at: []string{"peer"}},
	{name: "noise", role: "noise", at: []string{"server", "peer", "rpclog", "soap"}},
}

// fight is one attack, with what was found in its rounds.
type fight struct {
	attack
	*world
	watcher *watcher
	group   *cgroup
	turn    time.Duration
	rounds  []round
	last    counted
}

// round is a turn of the attacker, and one of honest load.
type round struct{ attack, honest turn }

// others is how many cores other programs took, in the worse of the turns.
func (r *round) others() float64 { return max(r.attack.others, r.honest.others) }

// turn is what was found while a generator was at work.
type turn struct {
	found     []measured // by probe
	generator float64    // cores that it took
	daemons   []float64  // and these
	others    float64    // and other programs
}

// counted is what an attacker says that it has done.
type counted struct{ Opened, Failed, Written int64 }

// measurer measures one attack.
func (s *suite) measurer(a attack) func(context.Context, *report.Bench) ([]report.Verdict, error) {
	return func(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
		group, err := newCgroup("generator")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, group.remove()) }()
		own, err := newCgroup("own")
		if err == nil {
			defer func() { err = errors.Join(err, own.leave()) }()
			err = enter(own.dir) // and the daemons with it
		}
		if err != nil {
			return nil, err
		}
		w, err := startWorld(ctx, b, s.sources)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, w.stop()) }()
		f := &fight{attack: a, world: w, group: group, turn: s.turn, watcher: newWatcher(&w.targets)}
		defer f.watcher.end()
		return f.run(ctx, s.rounds)
	}
}

// run has honest load and the attacker take turns, until there were enough calm rounds. A first turn, of honest load, does
// not count.
func (f *fight) run(ctx context.Context, rounds int) ([]report.Verdict, error) {
	if _, err := f.take(ctx, "honest", half); err != nil {
		return nil, err
	}
	before, err := f.usage()
	if err != nil {
		return nil, err
	}
	for calmOnes := 0; calmOnes < rounds && len(f.rounds) < patient*rounds; {
		var r round
		if r.attack, err = f.take(ctx, f.role, half); err != nil {
			return nil, err
		}
		// As much for honest load as the attacker took.
		if r.honest, err = f.take(ctx, "honest", min(half, r.attack.generator)); err != nil {
			return nil, err
		}
		if f.rounds = append(f.rounds, r); r.others() <= calm {
			calmOnes++
		}
	}
	after, err := f.usage()
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(f.rounds, func(a, b round) int { return cmp.Compare(a.others(), b.others()) })
	f.rounds = f.rounds[:rounds]
	return f.report(before, after)
}

// take is one turn of a generator that gets so many cores.
func (f *fight) take(ctx context.Context, role string, cores float64) (t turn, err error) {
	if err := f.group.bound(half); err != nil { // to get ready
		return t, err
	}
	self, err := os.Executable()
	if err != nil {
		return t, fmt.Errorf("finding this program: %w", err)
	}
	lines := proc.NewLines()
	// A generator has one thread at work, so that it takes its share evenly.
	p, err := proc.Start(ctx, f.dir, role, proc.Command{
		Args: []string{self, role, "-cgroup", f.group.dir, "-targets", f.file(), "-at", strings.Join(f.at, ",")},
		Env:  append(os.Environ(), "GOMAXPROCS=1"),
	}, lines)
	if err != nil {
		return t, err
	}
	var event struct{ Event string }
	if err := p.Ready(ctx, lines, &event); err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, f.finish(p, lines, role == f.role)) }()
	if err := f.group.bound(cores); err != nil {
		return t, err
	}
	if _, err := f.watcher.watch(ctx, settleTime); err != nil {
		return t, err
	}
	return f.measure(ctx, p)
}

// measure watches for a turn.
func (f *fight) measure(ctx context.Context, p *proc.Daemon) (t turn, err error) {
	load, err := proc.StartLoad(p)
	if err != nil {
		return t, err
	}
	begin := time.Now()
	before, err := f.usage()
	if err != nil {
		return t, err
	}
	if t.found, err = f.watcher.watch(ctx, f.turn); err != nil {
		return t, err
	}
	took := time.Since(begin).Seconds()
	after, err := f.usage()
	if err != nil {
		return t, err
	}
	spent, err := load.Spent()
	t.generator, t.others = spent.Daemon, spent.Others
	for i := range after {
		cores := (after[i].CPU - before[i].CPU).Seconds() / took
		t.daemons = append(t.daemons, cores)
		t.others -= cores
	}
	return t, err
}

// finish ends a generator, and takes what it says of itself where that is wanted.
func (f *fight) finish(p *proc.Daemon, lines *proc.Lines, wanted bool) error {
	if err := p.Stop(); err != nil || !wanted {
		return err
	}
	select {
	case line := <-lines.C:
		return json.Unmarshal([]byte(line), &f.last)
	default:
		return p.Failure("did not say what it has done")
	}
}

// report prints what was found, and returns the verdicts: the worst ratio, and the daemon that is nearest to its bar.
func (f *fight) report(before, after []proc.Usage) ([]report.Verdict, error) {
	rows := []string{"honest clients\tdone\tfailed\tmedian\tp99\tbeside honest load\tfailed\tmedian\tp99\tratio"}
	worst := report.Verdict{Name: f.name, Bar: latencyBar, Unit: "x"}
	var whys []string
	for i, p := range probes {
		var a, h measured
		for _, r := range f.rounds {
			a.add(r.attack.found[i])
			h.add(r.honest.found[i])
		}
		ratio := a.at(.99).Seconds() / h.at(.99).Seconds()
		rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%s\t%s\t%d\t%d\t%s\t%s\t%.2f", p.name,
			len(a.took), a.failed, ms(a.at(.5)), ms(a.at(.99)), len(h.took), h.failed, ms(h.at(.5)), ms(h.at(.99)), ratio))
		if ratio > worst.Measured {
			worst.Measured, worst.Name = ratio, f.name+" ("+p.name+")"
		}
		for _, m := range []measured{a, h} {
			if m.why != nil {
				whys = append(whys, p.name+": "+strings.ReplaceAll(m.why.Error(), "\n", " "))
			}
		}
	}
	title := fmt.Sprintf("\n%s, at %s; other programs took up to %.2f cores", f.name, strings.Join(f.at, " and "), f.rounds[len(f.rounds)-1].others())
	if err := report.Table(title, rows); err != nil {
		return nil, err
	}
	for _, why := range whys {
		fmt.Println(why)
	}
	grown, err := f.costs(before, after)
	return []report.Verdict{worst, grown}, err
}

// costs prints what the attack cost whom.
func (f *fight) costs(before, after []proc.Usage) (report.Verdict, error) {
	over := func(of func(round) float64) float64 {
		var list []float64
		for _, r := range f.rounds {
			list = append(list, of(r))
		}
		return report.Median(list)
	}
	rows := []string{
		"cores\tattacked\tbeside honest load\tpeak memory", fmt.Sprintf("generator\t%.2f\t%.2f\t",
			over(func(r round) float64 { return r.attack.generator }), over(func(r round) float64 { return r.honest.generator })),
	}
	worst := report.Verdict{Name: f.name + " memory", Bar: memoryBar, Unit: " MiB"}
	for i, d := range f.daemons {
		v := report.Verdict{Name: f.name + " memory (" + d.name + ")", Bar: max(f.memory, memoryBar), Unit: " MiB"}
		if d.name == "server" {
			v.Bar += garbage
		}
		v.Measured = float64(after[i].Peak-before[i].Peak) / (1 << 20)
		rows = append(rows, fmt.Sprintf("%s\t%.2f\t%.2f\t%d MiB + %.1f MiB", d.name,
			over(func(r round) float64 { return r.attack.daemons[i] }), over(func(r round) float64 { return r.honest.daemons[i] }), before[i].Peak>>20, v.Measured))
		if v.Measured/v.Bar > worst.Measured/worst.Bar {
			worst = v
		}
	}
	title := fmt.Sprintf("the attacker opened %d connections in its last turn, failed to open %d, wrote %d bytes", f.last.Opened, f.last.Failed, f.last.Written)
	return worst, report.Table(title, rows)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }
