package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// settingFlags declare a service's settings.
func settingFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "setting", Usage: "`NAME=PATH` of a value beside the version that can be planned, too, as in maxReplicas=helm.values.autoscaling.maxReplicas; several allowed"},
		&cli.StringSliceFlag{Name: "type", Usage: "`NAME=TYPE` of a setting: int, number, bool or string", DefaultText: "the type of the value that is there"},
		&cli.StringSliceFlag{Name: "min", Usage: "`NAME=NUMBER` that a setting must at least be"},
		&cli.StringSliceFlag{Name: "max", Usage: "`NAME=NUMBER` that a setting must at most be"},
	}
}

// settingsOf reads the flags, and names everything that is wrong with them. A
// type that is not said is "".
func settingsOf(c *cli.Context) ([]rings.Setting, error) {
	var out []rings.Setting
	var faults []string
	for _, word := range c.StringSlice("setting") {
		name, field, ok := strings.Cut(word, "=")
		if !ok {
			faults = append(faults, fmt.Sprintf("--setting %q is not NAME=PATH", word))
		}
		out = append(out, rings.Setting{Name: rings.SettingName(name), Field: field})
	}
	set := func(flag string, take func(s *rings.Setting, value string) bool) {
		for _, word := range c.StringSlice(flag) {
			name, value, ok := strings.Cut(word, "=")
			i := slices.IndexFunc(out, func(s rings.Setting) bool { return string(s.Name) == name })
			switch {
			case !ok:
				faults = append(faults, fmt.Sprintf("--%s %q is not NAME=VALUE", flag, word))
			case i < 0:
				faults = append(faults, fmt.Sprintf("--%s %q: there is no --setting of that name%s", flag, word, didYouMean(name, out)))
			case !take(&out[i], value):
				faults = append(faults, fmt.Sprintf("--%s %q: %q is not a number", flag, word, value))
			}
		}
	}
	set("type", func(s *rings.Setting, v string) bool { s.Type = rings.SettingType(v); return true })
	set("min", func(s *rings.Setting, v string) bool { return number(v, &s.Min) })
	set("max", func(s *rings.Setting, v string) bool { return number(v, &s.Max) })
	if len(faults) > 0 {
		return nil, &usageError{what: strings.Join(faults, "\n  "), hint: "--setting maxReplicas=helm.values.maxReplicas --type maxReplicas=int --min maxReplicas=1 --max maxReplicas=20"}
	}
	return out, nil
}

func didYouMean(name string, of []rings.Setting) string {
	if near := rings.Nearest(name, settingNames(of)); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

func settingNames(of []rings.Setting) []string {
	out := make([]string, len(of))
	for i, s := range of {
		out[i] = string(s.Name)
	}
	return out
}

func number(text string, into **float64) bool {
	n, err := strconv.ParseFloat(text, 64)
	*into = &n
	return err == nil
}

// typed are the settings with a type where none is said, as far as that can be
// checked without looking: it is found later.
func typed(in []rings.Setting) []rings.Setting {
	out := slices.Clone(in)
	for i := range out {
		if out[i].Type == "" {
			out[i].Type = rings.SettingInt
		}
	}
	return out
}

// findTypes gives the settings without a type the one that their values have.
func findTypes(s *rings.Service, found []findingView) error {
	var faults []string
	for i, o := range s.Settings {
		if o.Type != "" {
			continue
		}
		t, why := typeOf(o, found)
		if why != "" {
			faults = append(faults, fmt.Sprintf("setting %q: %s", o.Name, why))
		}
		s.Settings[i].Type = t
	}
	if len(faults) > 0 {
		return &rings.InvalidError{What: fmt.Sprintf("service %q", s.Name), Faults: faults}
	}
	return s.Validate()
}

// typeOf is the type of the values that the rings have of a setting.
func typeOf(o rings.Setting, found []findingView) (rings.SettingType, string) {
	types := map[rings.SettingType]bool{}
	for _, f := range found {
		if f.Code == fleetyaml.CodeSetting && f.Field == fleetyaml.Field(o.Field) {
			types[f.Type] = true
		}
	}
	if types[rings.SettingNumber] {
		delete(types, rings.SettingInt)
	}
	all := slices.Sorted(maps.Keys(types))
	switch len(all) {
	case 0:
		return "", "no ring has a value yet that its type could be taken from: say it with --type"
	case 1:
		return all[0], ""
	}
	return "", fmt.Sprintf("its values are of several types: %s", join(all))
}

// undecided are a service's settings without a value, to be looked at.
func undecided(s rings.Service) []fleetyaml.Setting {
	out := make([]fleetyaml.Setting, len(s.Settings))
	for i, o := range s.Settings {
		out[i] = fleetyaml.Setting{Field: fleetyaml.Field(o.Field), Type: o.Type}
	}
	return out
}

// settingsOn are the values that the file gives all the ring's clusters.
func settingsOn(m manifest, a *rings.Application, s rings.Service, ring rings.RingName, reach fleet.Reach) (rings.Values, error) {
	view, err := m.View(reach.Targets, fieldsOf(s), fleetyaml.FieldsOf(s.Settings)...)
	if err != nil {
		return nil, err
	}
	var out rings.Values
	first := true
	for _, c := range clustersOn(a, ring, reach.Clusters) {
		e, err := view.Effect(c)
		if err != nil {
			return nil, err
		}
		if !e.Deployed {
			continue
		}
		for i, o := range s.Settings {
			v := e.Settings[i]
			switch {
			case v != "" && first:
				out = out.With(rings.Values{o.Name: v})
			case out[o.Name] != v:
				delete(out, o.Name)
			}
		}
		first = false
	}
	return out, nil
}

// settingView is a setting of a service.
type settingView struct {
	Name  rings.SettingName `json:"name"`
	Field string            `json:"field"`
	Type  rings.SettingType `json:"type"`
	Min   *float64          `json:"min"` // null: none
	Max   *float64          `json:"max"`
}

func viewSettings(of []rings.Setting) []settingView {
	var out []settingView
	for _, s := range of {
		out = append(out, settingView(s))
	}
	return out
}

// settingWords are the settings of a service, a line each.
func settingWords(of []rings.Setting) string {
	var out []string
	for _, s := range of {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s=%s, %s %s", s.Name, s.Field, s.Type, s.Bounds())))
	}
	return strings.Join(out, "; ")
}

// contentWords are versions and values of settings: "web=v2 web.maxReplicas=5".
func contentWords(versions map[rings.ServiceName]rings.Version, settings map[rings.ServiceName]rings.Values) string {
	out := []string{}
	if words := versionWords(versions); words != "" {
		out = append(out, words)
	}
	for _, service := range slices.Sorted(maps.Keys(settings)) {
		for _, name := range settings[service].Names() {
			out = append(out, fmt.Sprintf("%s.%s=%s", service, name, settings[service][name]))
		}
	}
	return strings.Join(out, " ")
}

// withSettings are the words of a change of version, with those of its settings.
func withSettings(words string, settings []orchestrator.Changed) string {
	if len(settings) == 0 {
		return words
	}
	return strings.TrimPrefix(words+", "+orchestrator.SettingWords(settings), ", ")
}

// stepSettings is how the settings of a step went, or will go.
func stepSettings(st *orchestrator.StepState) []orchestrator.Changed {
	was := st.WasSettings()
	if was == nil {
		was = st.Known.Settings
	}
	return orchestrator.ChangedSettings(was, st.Settings)
}

func (p *program) serviceSetSettingsCommand() *cli.Command {
	return &cli.Command{
		Name: "set-settings", Usage: "Say what else of a service can be planned", ArgsUsage: "APP SERVICE", Flags: settingFlags(),
		Description: "What was said before is replaced; without --setting there is only the version. The fleet.yaml is checked against\n" +
			"every ring, as \"rollout service add\" does. Refused while a rollout is live, or the plan has what would go.\n\n" +
			examples("rollout service set-settings shop web --setting maxReplicas=helm.values.autoscaling.maxReplicas --min maxReplicas=1 --max maxReplicas=20"),
		Action: func(c *cli.Context) error {
			settings, err := settingsOf(c)
			if err != nil {
				return err
			}
			return p.runServiceSetSettings(c.Context, rings.AppName(c.Args().Get(0)), rings.ServiceName(c.Args().Get(1)), settings)
		},
	}
}

func (p *program) runServiceSetSettings(ctx context.Context, app rings.AppName, name rings.ServiceName, settings []rings.Setting) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	a, err := db.App(ctx, app)
	if err != nil {
		return err
	}
	s, err := p.withSettings(ctx, db, a, name, settings)
	if err != nil {
		return err
	}
	if err := setSettings(ctx, db, a.Name, s); err != nil {
		return err
	}
	v := viewService(app, s)
	if len(settings) == 0 {
		return p.done(v, "service %q of application %q has no settings", name, app)
	}
	return p.done(v, "service %q of application %q has the settings %s", name, app, settingWords(s.Settings))
}

// withSettings is the service with these settings in the place of its own,
// checked against every ring.
func (p *program) withSettings(ctx context.Context, db *store.DB, a *rings.Application, name rings.ServiceName, settings []rings.Setting) (rings.Service, error) {
	old, err := a.Service(name)
	if err != nil {
		return rings.Service{}, err
	}
	if err := notWhileLive(ctx, db, a.Name, ""); err != nil {
		return rings.Service{}, err
	}
	s := *old
	if s.Settings = typed(settings); s.Validate() != nil {
		return s, s.Validate()
	}
	if err := notPlanned(a, s); err != nil {
		return s, err
	}
	if s.Settings = slices.Clone(settings); len(settings) == 0 {
		return s, nil
	}
	return s, p.lookAtSettings(ctx, a, &s)
}

// lookAtSettings finds the types of the settings and what the rings have, and
// refuses what stands in the way.
func (p *program) lookAtSettings(ctx context.Context, a *rings.Application, s *rings.Service) error {
	m, err := p.managerOf(ctx, scopeOf(a))
	if err != nil {
		return err
	}
	d := &addition{manager: m, publisher: p.publisher(m), app: a, service: *s}
	defer d.publisher.Close()
	if d.file, err = readManifest(ctx, d.publisher, *s); err != nil {
		return err
	}
	if d.reach, err = m.Reach(ctx, scopeOf(a), orchestrator.TargetOf(*s)); err != nil {
		return err
	}
	d.service.Known = maps.Clone(s.Known)
	if err := d.inspectRings(); err != nil {
		return err
	}
	p.printFindings(d)
	if err := blockers(*s, d.file.source.Name, d.findings); err != nil {
		return err
	}
	*s = d.service
	return findTypes(s, d.findings)
}

// notPlanned refuses to take settings away that the plan names.
func notPlanned(a *rings.Application, s rings.Service) error {
	for _, name := range a.Plan[s.Name].Values().Names() {
		if _, err := s.Setting(name); err != nil {
			return conflict(fmt.Sprintf("rollout plan clear %s %s.%s", a.Name, s.Name, name), "setting %q of service %q is in the plan of application %q", name, s.Name, a.Name)
		}
	}
	return nil
}

// setSettings stores the service's settings, and of what the rings have the
// values of those.
func setSettings(ctx context.Context, db *store.DB, app rings.AppName, s rings.Service) error {
	return db.UpdateApp(ctx, app, func(a *rings.Application) error {
		if err := notPlanned(a, s); err != nil {
			return err
		}
		into, err := a.Service(s.Name)
		if err != nil {
			return err
		}
		into.Settings = s.Settings
		for ring, known := range into.Known {
			known.Settings, known.Tried = s.Known[ring].Settings, nil
			into.Known[ring] = known
		}
		return nil
	})
}

// planRows are the rows of an entry of the plan: its version, and each setting.
func (p *program) planRows(service rings.ServiceName, e rings.PlanEntry) [][]string {
	var rows [][]string
	if e.Version != "" {
		rows = append(rows, []string{string(service), string(e.Version), e.By, p.when(e.At)})
	}
	for _, name := range e.Values().Names() {
		v := e.Settings[name]
		rows = append(rows, []string{fmt.Sprintf("%s.%s", service, name), v.Value, v.By, p.when(v.At)})
	}
	return rows
}
