package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

func (p *program) planCommand() *cli.Command {
	return &cli.Command{
		Name: "plan", Category: "Roll out", Usage: "Say which versions are wanted",
		Description: "A service without an entry is not touched. A rollout does not use the plan up.\n\n" + examples("rollout plan set shop db=v2 api=v7"),
		Subcommands: []*cli.Command{p.planSetCommand(), p.planShowCommand(), p.planClearCommand()},
	}
}

type planSetOptions struct {
	app      rings.AppName
	versions []string
	expect   []string
}

func (p *program) planSetCommand() *cli.Command {
	return &cli.Command{
		Name: "set", Usage: "Set the versions that are wanted", ArgsUsage: "APP SERVICE=VERSION...",
		Description: "All of them are set, or none.\n\n" + examples("rollout plan set shop db=v2 api=v7", "rollout plan set shop db=v3 --expect db=v2"),
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "expect", Usage: "`SERVICE=OLD` that the plan must hold now, or nothing is set; an empty OLD: no entry"},
		},
		Action: func(c *cli.Context) error {
			return p.runPlanSet(c.Context, planSetOptions{rings.AppName(c.Args().Get(0)), c.Args().Tail(), c.StringSlice("expect")})
		},
	}
}

func (p *program) runPlanSet(ctx context.Context, o planSetOptions) error {
	wanted, err := assignments(o.versions)
	if err != nil {
		return err
	}
	expected, err := assignments(o.expect)
	if err != nil {
		return err
	}
	actor := p.actor(ctx)
	return p.changePlan(ctx, o.app, func(a *rings.Application) error {
		if err := checkPlan(a, wanted, expected); err != nil {
			return err
		}
		if a.Plan == nil {
			a.Plan = rings.Plan{}
		}
		for _, w := range wanted {
			a.Plan[w.service] = rings.PlanEntry{Version: w.version, By: actor, At: p.now().UTC()}
		}
		return nil
	})
}

type assignment struct {
	service rings.ServiceName
	version rings.Version
}

func assignments(words []string) ([]assignment, error) {
	var out []assignment
	for _, w := range words {
		service, v, ok := strings.Cut(w, "=")
		if !ok || service == "" {
			return nil, &usageError{what: fmt.Sprintf("%q is not SERVICE=VERSION", w)}
		}
		a := assignment{rings.ServiceName(service), rings.Version(v)}
		if slices.ContainsFunc(out, func(b assignment) bool { return b.service == a.service }) {
			return nil, &usageError{what: fmt.Sprintf("service %q stands there twice", service)}
		}
		out = append(out, a)
	}
	return out, nil
}

// checkPlan names everything that is wrong with what is wanted.
func checkPlan(a *rings.Application, wanted, expected []assignment) error {
	var unknown, faults []string
	for _, w := range slices.Concat(wanted, expected) {
		if _, err := a.Service(w.service); err != nil {
			unknown = append(unknown, err.Error())
		}
	}
	if slices.Sort(unknown); len(unknown) > 0 {
		return &commandError{exit: exitNotFound, code: "not-found", what: strings.Join(slices.Compact(unknown), "\n  "), err: rings.ErrUnknown,
			hint: fmt.Sprintf("\"rollout service list %s\" shows what there is", a.Name)}
	}
	for _, w := range wanted {
		if err := w.version.Check(); err != nil {
			faults = append(faults, fmt.Sprintf("service %q: %v", w.service, err))
		}
	}
	if len(faults) > 0 {
		return &rings.InvalidError{What: fmt.Sprintf("plan of application %q", a.Name), Faults: faults}
	}
	return checkExpected(a, expected)
}

func checkExpected(a *rings.Application, expected []assignment) error {
	for _, e := range expected {
		have := a.Plan[e.service]
		if have.Version != e.version {
			now := fmt.Sprintf("is %q since %s by %s", have.Version, stamp(have.At), have.By)
			if have.Version == "" {
				now = "has no entry"
			}
			return conflict(fmt.Sprintf("\"rollout plan show %s\" shows it", a.Name), "plan of application %q: service %q was expected to be %q, but %s", a.Name, e.service, e.version, now)
		}
	}
	return nil
}

// changePlan changes the plan and prints it as it is then.
func (p *program) changePlan(ctx context.Context, app rings.AppName, change func(*rings.Application) error) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		var now *rings.Application
		err := db.UpdateApp(ctx, app, func(a *rings.Application) error {
			now = a
			return change(a)
		})
		if err != nil {
			return err
		}
		return p.printPlan(now)
	})
}

func (p *program) printPlan(a *rings.Application) error {
	v := viewPlan(a)
	return p.print(v, func(w io.Writer) error {
		if len(v.Services) == 0 {
			p.say("the plan of application %q is empty; \"rollout plan set %s SERVICE=VERSION\" fills it", a.Name, a.Name)
			return nil
		}
		var rows [][]string
		for _, name := range a.Plan.Names() {
			e := a.Plan[name]
			rows = append(rows, []string{string(name), string(e.Version), e.By, p.when(e.At)})
		}
		return p.table(w, []string{"SERVICE", "VERSION", "BY", "SINCE"}, rows)
	})
}

func (p *program) planShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "Show which versions are wanted", ArgsUsage: "APP", Description: examples("rollout plan show shop"),
		Action: func(c *cli.Context) error {
			return p.withApp(c.Context, rings.AppName(c.Args().Get(0)), func(_ context.Context, _ *store.DB, a *rings.Application) error { return p.printPlan(a) })
		},
	}
}

func (p *program) planClearCommand() *cli.Command {
	return &cli.Command{
		Name: "clear", Usage: "Take services out of the plan", ArgsUsage: "APP [SERVICE...]",
		Description: "Without services, all of them.\n\n" + examples("rollout plan clear shop api"),
		Action: func(c *cli.Context) error {
			return p.runPlanClear(c.Context, rings.AppName(c.Args().Get(0)), c.Args().Tail())
		},
	}
}

func (p *program) runPlanClear(ctx context.Context, app rings.AppName, services []string) error {
	return p.changePlan(ctx, app, func(a *rings.Application) error {
		if len(services) == 0 {
			a.Plan = nil
			return nil
		}
		var faults []error
		for _, s := range services {
			_, err := a.Service(rings.ServiceName(s))
			faults = append(faults, err)
			delete(a.Plan, rings.ServiceName(s))
		}
		return errors.Join(faults...)
	})
}
