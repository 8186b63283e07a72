package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/rings"
)

type whereOptions struct {
	app      rings.AppName
	cluster  rings.ClusterName
	at       time.Time // zero: now
	recorded bool
}

func (p *program) whereCommand() *cli.Command {
	return &cli.Command{
		Name: "where", Category: "Look", Usage: "Show which version of each service every ring is to run, and what its clusters run", ArgsUsage: "APP",
		Description: "The branches and the clusters are asked: desired is what a branch's tip gives the ring, observed what it gave at the\n" +
			"commit that the cluster acknowledged. With --recorded, or --at a moment of the past, the answer is what was seen\n" +
			"from here. \"2/3\" of a ring's clusters run what is desired; \"!\" is what somebody else has changed.\n\n" +
			examples("rollout where shop", "rollout where shop --cluster eu-1", "rollout where shop --at 2026-11-20T14:30:00Z", "rollout where shop --recorded -o csv"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "cluster", Usage: "`CLUSTER` that alone is of interest"},
			&cli.StringFlag{Name: "at", Usage: "`TIME` in the past: 10m ago, 14:30 or 14:30:15 today, or as in 2026-11-20T14:30:00Z", DefaultText: "now"},
			&cli.BoolFlag{Name: "recorded", Usage: "Ask neither the branches nor the clusters", DisableDefaultText: true},
		},
		Action: func(c *cli.Context) error {
			at, err := parseMoment("at", c.String("at"), p.now())
			if err != nil {
				return err
			}
			return p.runWhere(c.Context, whereOptions{rings.AppName(c.Args().Get(0)), rings.ClusterName(c.String("cluster")), at, c.Bool("recorded")})
		},
	}
}

func (p *program) runWhere(ctx context.Context, o whereOptions) error {
	r, err := p.whereRecord(ctx, o)
	if err != nil {
		return err
	}
	v := whereView{App: o.app, At: instant(r.at), Source: sourceRecord, Rings: r.app.RingNames(), Places: r.places()}
	if o.at.IsZero() && !o.recorded {
		if v, err = p.lookWhere(ctx, r, o.cluster); err != nil {
			return err
		}
	}
	v.addRings()
	if o.cluster != "" {
		known := v.clusters()
		if v.only(o.cluster); len(v.Places) == 0 {
			return &rings.UnknownError{Kind: "cluster", Name: string(o.cluster), Where: fmt.Sprintf("application %q", o.app), Nearest: rings.Nearest(string(o.cluster), known)}
		}
	}
	if err := p.printWhere(v); err != nil || p.flags.output != "text" {
		return err
	}
	for _, a := range r.ahead {
		p.say("warning: %s", a.words())
	}
	return nil
}

// addRings adds the rings that are gone from the application and had
// something.
func (v *whereView) addRings() {
	for _, x := range v.Places {
		if !slices.Contains(v.Rings, x.Ring) {
			v.Rings = append(v.Rings, x.Ring)
		}
	}
}

func (v whereView) clusters() []string {
	seen := map[string]bool{}
	for _, x := range v.Places {
		for _, c := range x.Clusters {
			seen[string(c.Name)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (p *program) printWhere(v whereView) error {
	if p.flags.output == "csv" {
		return p.printCSV(whereHeader, v.csv())
	}
	return p.print(v, func(w io.Writer) error {
		if v.Source == sourceRecord {
			p.say("as recorded here, at %s: the clusters were not asked", stampOf(v.At))
		}
		if !p.terminal {
			if err := p.table(w, nil, v.rows(p)); err != nil {
				return err
			}
		} else if header, rows := v.table(p.style(true)); len(rows) > 0 {
			if err := p.table(w, header, rows); err != nil {
				return err
			}
		}
		for _, x := range v.Places {
			for _, words := range x.remarks(p.style(p.errTerminal)) {
				p.say("%s", words)
			}
		}
		return nil
	})
}
