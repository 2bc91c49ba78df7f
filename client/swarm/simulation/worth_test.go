package simulation

import (
	"testing"

	"shoal/client/swarm"
	"shoal/client/swarm/upload"
)

// worth is a swarm that does well with a rule, and does not without it.
type worth struct {
	config Config
	good   func(*Report) bool
}

// atMost is for all that are done within so many times the bound.
func atMost(limit float64) func(*Report) bool {
	return func(r *Report) bool { return r.Finished > 0 && r.Stuck == 0 && r.Last <= limit*r.Bound }
}

func fromSeed(copies float64) func(*Report) bool {
	return func(r *Report) bool { return r.SeedCopies <= copies }
}

func wasteAtMost(part float64) func(*Report) bool {
	return func(r *Report) bool { return r.Finished > 0 && r.Stuck == 0 && r.Waste <= part }
}

// engineRules has a swarm for each rule of the engine.
func engineRules() map[string]worth {
	firstPart := sources(3, 20)
	firstPart.Whole, firstPart.Part = false, 0.8
	plainSeed := crowd(8, 100, 16<<20)
	plainSeed.WithoutUpload = upload.SuperSeed
	// Each has what the one before has, and more that is rarer.
	stairs := Config{Size: 16 << 20, Seed: 4, Groups: []Group{downloader}} // with others each may begin with another piece
	for k := range 16 {
		g := sources(1, 0.5)
		g.Whole, g.Part = false, float64(k+1)/17
		stairs.Groups = append(stairs.Groups, g)
	}
	stairs.Groups = append(stairs.Groups, sources(1, 0.5))
	late := sources(8, 2)
	late.Delay = ms(200)
	fat := sources(1, 10_000)
	fat.Delay = ms(2)
	near, less := sources(4, 400), sources(4, 400)
	less.Delay = ms(3)
	hanging := death(true)
	hanging.Without = swarm.Endgame // which would take care of it in the end
	dying := death(false)
	dying.Without = swarm.Endgame | swarm.Stalls
	away := sources(1, 1)
	away.DieAt = ms(5000)
	only := sources(1, 100)
	only.Start = ms(60_000)
	flips := liars(Flips)
	flips.Limit = ms(10_000)
	onlyLiars := liars(Flips)
	onlyLiars.Groups = append(onlyLiars.Groups[:1:1], onlyLiars.Groups[2])
	onlyLiars.Size, onlyLiars.Peers, onlyLiars.Limit = 256<<10, 1, ms(60_000)
	later := sources(4, 100)
	later.Start = ms(1000)
	return map[string]worth{
		"rarest": {
			Config{Size: 64 << 20, Groups: []Group{downloader, sources(1, 20), firstPart}, WithoutUpload: upload.SuperSeed},
			func(r *Report) bool { return r.Last < 7.8 },
		},
		"random-ties":    {plainSeed, fromSeed(2)},
		"random-first":   {stairs, func(r *Report) bool { return r.Groups[0].Started <= 3 }},
		"partials-first": {crowd(8, 100, 64<<20), atMost(1.12)},
		"endgame":        {Config{Size: 8 << 20, Groups: []Group{downloader, sources(1, 100), sources(4, 0.5)}}, atMost(1.5)},
		"cancels":        {Config{Size: 16 << 20, Groups: []Group{downloader, sources(1, 100), late}}, wasteAtMost(0.008)},
		"window":         {far(), atMost(1 / 0.85)},
		"blocks": {
			Config{Size: 1 << 30, Groups: []Group{{Name: "downloader", Count: 1, Up: 10_000, Down: 10_000, Delay: ms(2)}, fat}},
			atMost(1.3),
		},
		"score": {scarce(), atMost(3)},
		"shared": {
			Config{Size: 2 << 30, Groups: []Group{downloader, near, less}},
			func(r *Report) bool { return r.Groups[2].Uploaded >= 0.7*r.Groups[1].Uploaded },
		},
		"stalls":  {hanging, atMost(1.4)},
		"deaths":  {dying, atMost(1.4)},
		"backoff": {liars(Stale), func(r *Report) bool { return r.Steps < 3000 }},
		"jitter": {
			Config{Size: 1 << 20, Groups: []Group{{Name: "crowd", Count: 40, Up: 10, Down: 10, Every: ms(100), Selfish: true}, away, only}},
			func(r *Report) bool { return r.Rush <= 30 },
		},
		"three-sources": {onlyLiars, func(r *Report) bool { return r.Failed == 1 }},
		"blame":         {liars(Flips), wasteAtMost(0.01)},
		"bans":          {flips, func(r *Report) bool { return r.Banned == 4 && r.Waste <= 0.01 }},
		"replaced":      {Config{Size: 256 << 20, Peers: 4, Groups: []Group{downloader, sources(4, 1), later}}, atMost(20)},
	}
}

// uploadRules has a swarm for each rule of the upload side.
func uploadRules() map[string]worth {
	selfish := crowd(10, 10, 64<<20)
	selfish.Slots = 4
	selfish.Groups = append(selfish.Groups, Group{Name: "selfish", Count: 6, Up: 10, Down: 10, Selfish: true})
	seed := sources(1, 100)
	seed.DieAt = ms(10_000)
	busy := Config{Size: 32 << 20, Slots: 4, Groups: []Group{
		seed, {Name: "crowd", Count: 16, Up: 4, Down: 100}, {Name: "newcomer", Count: 1, Up: 4, Down: 100, Start: ms(20_000)},
	}}
	mixed := crowd(8, 100, 64<<20)
	mixed.Groups = append(mixed.Groups, Group{Name: "slow", Count: 4, Up: 5, Down: 100})
	return map[string]worth{
		"reciprocity":  {selfish, func(r *Report) bool { return r.Stuck == 0 && r.Groups[2].Last >= 1.1*r.Groups[1].Last }},
		"optimistic":   {busy, func(r *Report) bool { return r.Groups[2].Started <= 10 }},
		"open":         {crowd(8, 100, 64<<20), atMost(1.12)},
		"super-seed":   {crowd(8, 100, 64<<20), fromSeed(1.1)},
		"spread-first": {mixed, atMost(1.35)},
	}
}

// Each rule is worth something: with it the swarm does what is wanted, and without it does not.
func TestRules(t *testing.T) {
	check := func(name string, w worth, engine swarm.Rule, up upload.Rule) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if w.good == nil {
				t.Fatal("there is no simulation of it")
			}
			if r := run(t, w.config); !w.good(r) {
				t.Errorf("with the rule it does not do what it should: %+v", r.Groups)
			}
			w.config.Without |= engine
			w.config.WithoutUpload |= up
			if r := run(t, w.config); w.good(r) {
				t.Errorf("without the rule it does as well: %+v", r.Groups)
			}
		})
	}
	swarms := engineRules()
	for name, rule := range swarm.Rules {
		check(name, swarms[name], rule, 0)
	}
	uploads := uploadRules()
	for name, rule := range upload.Rules {
		check(name, uploads[name], 0, rule)
	}
}
