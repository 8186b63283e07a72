package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
)

func (p *program) serviceAdoptCommand() *cli.Command {
	return &cli.Command{
		Name: "adopt", Usage: "Record the versions that somebody else has set", ArgsUsage: "APP SERVICE [RING...]",
		Description: "A rollout refuses to go over a version that was not recorded here. This records what the service's fleet.yaml\n" +
			"gives the rings now; nothing is written to git. Without RING, all rings.\n\n" + examples("rollout service adopt shop db ring-1"),
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			return p.runServiceAdopt(c.Context, rings.AppName(args[0]), rings.ServiceName(args[1]), args[2:])
		},
	}
}

type adoptedView struct {
	Ring     rings.RingName         `json:"ring"`
	Before   rings.Version          `json:"before"`
	Version  rings.Version          `json:"version"`
	Commit   string                 `json:"commit"`
	Settings []orchestrator.Changed `json:"settings,omitempty"` // of which another value is recorded now
}

func (p *program) runServiceAdopt(ctx context.Context, app rings.AppName, name rings.ServiceName, words []string) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	a, err := db.App(ctx, app)
	if err != nil {
		return err
	}
	s, err := a.Service(name)
	if err != nil {
		return err
	}
	wanted, err := ringsOf(a, words)
	if err != nil {
		return err
	}
	found, err := p.survey(ctx, a, *s, wanted)
	if err != nil {
		return err
	}
	err = db.UpdateApp(ctx, app, func(a *rings.Application) error { return p.adopt(a, name, found) })
	if err != nil {
		return err
	}
	return p.printAdopted(a, *s, found)
}

func ringsOf(a *rings.Application, words []string) ([]rings.RingName, error) {
	if len(words) == 0 {
		return a.RingNames(), nil
	}
	var named []rings.RingName
	for _, w := range words {
		named = append(named, rings.RingName(w))
	}
	return a.Expand(named)
}

// survey reads what the branch gives the rings.
func (p *program) survey(ctx context.Context, a *rings.Application, s rings.Service, wanted []rings.RingName) (map[rings.RingName]rings.Known, error) {
	m, err := p.managerOf(ctx, scopeOf(a))
	if err != nil {
		return nil, err
	}
	pub := p.publisher(m)
	defer pub.Close()
	file, err := readManifest(ctx, pub, s)
	if err != nil {
		return nil, err
	}
	reach, err := m.Reach(ctx, scopeOf(a), orchestrator.TargetOf(s))
	if err != nil {
		return nil, err
	}
	out := map[rings.RingName]rings.Known{}
	for _, ring := range wanted {
		v, err := runsOn(file, a, s, ring, reach)
		if err != nil {
			return nil, fmt.Errorf("service %q on ring %q: %w", s.Name, ring, err)
		}
		values, err := settingsOn(file, a, s, ring, reach)
		if err != nil {
			return nil, fmt.Errorf("service %q on ring %q: %w", s.Name, ring, err)
		}
		if v != "" {
			out[ring] = rings.Known{Version: v, Settings: values, Commit: file.source.Commit}
		}
	}
	return out, nil
}

func (p *program) adopt(a *rings.Application, name rings.ServiceName, found map[rings.RingName]rings.Known) error {
	s, err := a.Service(name)
	if err != nil {
		return err
	}
	if s.Known == nil {
		s.Known = map[rings.RingName]rings.Known{}
	}
	for ring, k := range found {
		if s.Known[ring].Version != k.Version || !maps.Equal(s.Known[ring].Settings, k.Settings) {
			k.At = p.now().UTC()
			s.Known[ring] = k
		}
	}
	return nil
}

// adoptedSettings are the settings of which another value is recorded now.
func adoptedSettings(was, is rings.Values) []orchestrator.Changed {
	return slices.DeleteFunc(orchestrator.ChangedSettings(was, is), func(c orchestrator.Changed) bool { return c.From == c.To })
}

func (p *program) printAdopted(a *rings.Application, s rings.Service, found map[rings.RingName]rings.Known) error {
	views := []adoptedView{}
	for _, ring := range a.RingNames() {
		if k, ok := found[ring]; ok {
			views = append(views, adoptedView{Ring: ring, Before: s.Known[ring].Version, Version: k.Version, Commit: k.Commit,
				Settings: adoptedSettings(s.Known[ring].Settings, k.Settings)})
		}
	}
	return p.print(listOf(views), func(w io.Writer) error {
		for _, v := range views {
			if words := orchestrator.SettingWords(v.Settings); words != "" {
				fmt.Fprintf(w, "%s: %s is recorded now (before: %s), %s\n", v.Ring, v.Version, cmpHint(string(v.Before), "nothing"), words)
				continue
			}
			if v.Before == v.Version {
				fmt.Fprintf(w, "%s: %s, as recorded before\n", v.Ring, v.Version)
				continue
			}
			fmt.Fprintf(w, "%s: %s is recorded now (before: %s)\n", v.Ring, v.Version, cmpHint(string(v.Before), "nothing"))
		}
		if len(views) == 0 {
			p.say("service %q is deployed on none of these rings, or with several versions", s.Name)
		}
		return nil
	})
}
