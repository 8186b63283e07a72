package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

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
		Name: "set", Usage: "Set the versions and settings that are wanted", ArgsUsage: "APP SERVICE=VERSION...",
		Description: "All of them are set, or none. SERVICE.SETTING=VALUE plans a setting; a service of which only settings are planned keeps\n" +
			"the version that each ring has. \"rollout help settings\" says more.\n\n" +
			examples("rollout plan set shop db=v2 api=v7", "rollout plan set shop web.maxReplicas=5", "rollout plan set shop db=v3 --expect db=v2"),
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "expect", Usage: "`SERVICE=OLD` or SERVICE.SETTING=OLD that the plan must hold now, or nothing is set; an empty OLD: no entry"},
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
		setPlan(a.Plan, wanted, actor, p.now().UTC())
		return nil
	})
}

// setPlan puts what is wanted into a plan, over what it says of the same.
func setPlan(plan rings.Plan, wanted []assignment, by string, at time.Time) {
	for _, w := range wanted {
		e := plan[w.service]
		if w.setting == "" {
			e.Version, e.By, e.At = w.version, by, at
		} else {
			e.Settings = maps.Clone(e.Settings)
			if e.Settings == nil {
				e.Settings = map[rings.SettingName]rings.PlanValue{}
			}
			e.Settings[w.setting] = rings.PlanValue{Value: w.value, By: by, At: at}
		}
		plan[w.service] = e
	}
}

// assignment is SERVICE=VERSION or SERVICE.SETTING=VALUE.
type assignment struct {
	service rings.ServiceName
	version rings.Version
	setting rings.SettingName // "": it is about the version
	value   string
}

// String is what it is about.
func (a assignment) String() string {
	if a.setting == "" {
		return string(a.service)
	}
	return fmt.Sprintf("%s.%s", a.service, a.setting)
}

func assignments(words []string) ([]assignment, error) {
	var out []assignment
	for _, w := range words {
		what, v, ok := strings.Cut(w, "=")
		service, setting, of := strings.Cut(what, ".")
		if !ok || service == "" || of && setting == "" {
			form := "SERVICE=VERSION"
			if of {
				form = "SERVICE.SETTING=VALUE"
			}
			return nil, &usageError{what: fmt.Sprintf("%q is not %s", w, form)}
		}
		a := assignment{service: rings.ServiceName(service), version: rings.Version(v)}
		if of {
			a.version, a.setting, a.value = "", rings.SettingName(setting), v
		}
		if slices.ContainsFunc(out, func(b assignment) bool { return b.service == a.service && b.setting == a.setting }) {
			return nil, &usageError{what: fmt.Sprintf("%s %q stands there twice", kindOf(a), a)}
		}
		out = append(out, a)
	}
	return out, nil
}

func kindOf(a assignment) string {
	if a.setting == "" {
		return "service"
	}
	return "setting"
}

// checkPlan names everything that is wrong with what is wanted, and writes
// values of settings as they are compared.
func checkPlan(a *rings.Application, wanted, expected []assignment) error {
	if err := unknownPlanned(a, slices.Concat(wanted, expected)); err != nil {
		return err
	}
	var faults []string
	for i, w := range wanted {
		if w.setting != "" {
			s := settingOf(a, w)
			value, err := s.Parse(w.value)
			if err != nil {
				faults = append(faults, fmt.Sprintf("%s: %v", w, err))
			}
			wanted[i].value = value
			continue
		}
		if err := w.version.Check(); err != nil {
			faults = append(faults, fmt.Sprintf("service %q: %v", w.service, err))
		}
	}
	if len(faults) > 0 {
		return &rings.InvalidError{What: fmt.Sprintf("plan of application %q", a.Name), Faults: faults}
	}
	return checkExpected(a, expected)
}

// unknownPlanned names the services and settings that are not there.
func unknownPlanned(a *rings.Application, all []assignment) error {
	var unknown []string
	hint := fmt.Sprintf("\"rollout service list %s\" shows what there is", a.Name)
	for _, w := range all {
		s, err := a.Service(w.service)
		if err == nil && w.setting != "" {
			if _, err = s.Setting(w.setting); err != nil {
				hint = fmt.Sprintf("\"rollout service show %s %s\" shows what there is, \"rollout service set-settings\" declares it", a.Name, w.service)
			}
		}
		if err != nil {
			unknown = append(unknown, err.Error())
		}
	}
	if slices.Sort(unknown); len(unknown) == 0 {
		return nil
	}
	return &commandError{exit: exitNotFound, code: "not-found", what: strings.Join(slices.Compact(unknown), "\n  "), err: rings.ErrUnknown, hint: hint}
}

// settingOf is the setting that an assignment is about, which must be there.
func settingOf(a *rings.Application, w assignment) rings.Setting {
	if s, err := a.Service(w.service); err == nil {
		if o, err := s.Setting(w.setting); err == nil {
			return *o
		}
	}
	return rings.Setting{}
}

func checkExpected(a *rings.Application, expected []assignment) error {
	for _, e := range expected {
		have := a.Plan[e.service]
		if e.setting != "" {
			if err := checkExpectedSetting(a, e, have.Settings[e.setting]); err != nil {
				return err
			}
			continue
		}
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

func checkExpectedSetting(a *rings.Application, e assignment, have rings.PlanValue) error {
	if value, err := settingOf(a, e).Parse(e.value); err == nil {
		e.value = value
	}
	if have.Value == e.value {
		return nil
	}
	now := fmt.Sprintf("is %q since %s by %s", have.Value, stamp(have.At), have.By)
	if have.Value == "" {
		now = "has no entry"
	}
	return conflict(fmt.Sprintf("\"rollout plan show %s\" shows it", a.Name), "plan of application %q: setting %q was expected to be %q, but %s", a.Name, e, e.value, now)
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
			rows = append(rows, p.planRows(name, a.Plan[name])...)
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
		Name: "clear", Usage: "Take services or settings out of the plan", ArgsUsage: "APP [SERVICE...]",
		Description: "Without services, all of them. A service goes with its settings; SERVICE.SETTING takes out one.\n\n" + examples("rollout plan clear shop api", "rollout plan clear shop web.maxReplicas"),
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
			faults = append(faults, clearPlan(a, s))
		}
		return errors.Join(faults...)
	})
}

// clearPlan takes a service, or a setting, out of the plan.
func clearPlan(a *rings.Application, word string) error {
	service, setting, of := strings.Cut(word, ".")
	s, err := a.Service(rings.ServiceName(service))
	if err != nil {
		return err
	}
	if !of {
		delete(a.Plan, s.Name)
		return nil
	}
	if _, err := s.Setting(rings.SettingName(setting)); err != nil {
		return err
	}
	e := a.Plan[s.Name]
	if delete(e.Settings, rings.SettingName(setting)); e.Version == "" && len(e.Settings) == 0 {
		delete(a.Plan, s.Name)
	}
	return nil
}
