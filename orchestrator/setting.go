package orchestrator

import (
	"fmt"
	"slices"
	"strings"

	"rollout/rings"
)

// Changed is how a setting of a step went, or would go.
type Changed struct {
	Name rings.SettingName `json:"name"`
	From string            `json:"from,omitempty"` // "" while it is not known
	To   string            `json:"to"`
}

// String is the change as a person reads it: "maxReplicas 3 -> 5".
func (c Changed) String() string {
	if c.From == "" || c.From == c.To {
		return fmt.Sprintf("%s %s", c.Name, c.To)
	}
	return fmt.Sprintf("%s %s -> %s", c.Name, c.From, c.To)
}

// ChangedSettings says how the settings go from what was to what is wanted,
// sorted by name; one that stays is told with the same value twice.
func ChangedSettings(was, wanted rings.Values) []Changed {
	var out []Changed
	for _, name := range wanted.Names() {
		out = append(out, Changed{Name: name, From: was[name], To: wanted[name]})
	}
	return out
}

// SettingWords joins the changes of settings; "" when there are none.
func SettingWords(all []Changed) string {
	words := make([]string, len(all))
	for i, c := range all {
		words[i] = c.String()
	}
	return strings.Join(words, ", ")
}

// WasSettings are the values that the step's settings had before the rollout
// changed them, or that its last survey found; nil when neither is known.
func (st *StepState) WasSettings() rings.Values {
	switch {
	case st.Changed:
		return st.Before
	case st.Attempt.Number > 0:
		return st.Attempt.Had
	case st.Survey != nil:
		return st.had()
	}
	return nil
}

// had are the values that the branch gives the step's settings.
func (st *StepState) had() rings.Values { return st.Survey.Settings.Only(st.Settings) }

// version is the one that an attempt writes: a step that only has settings
// keeps what the ring has.
func (st *StepState) version() rings.Version {
	if st.Keep {
		return st.Survey.Version
	}
	return st.To
}

// says reports whether the branch gives the ring what the step wants.
func (st *StepState) says() bool {
	return st.Survey.Version == st.version() && st.Settings.In(st.Survey.Settings)
}

// changes reports whether the attempt is about another version or other
// settings than there were.
func (a Attempt) changes() bool {
	return a.From != a.Version || !a.Settings.In(a.Had)
}

// wants is what the step wants, in words.
func (st *StepState) wants() string { return wants(st.To, st.Settings) }

// Wants is what the step wants, in words.
func (n NewStep) Wants() string { return wants(n.To, n.Settings) }

func wants(to rings.Version, settings rings.Values) string {
	return strings.TrimSpace(string(to) + " " + settings.String())
}

// refuseSettings looks for values that must not be overwritten, or that one
// entry could not restore (invariants 11 and 12).
func (t *turn) refuseSettings(st *StepState) (Failure, bool) {
	if st.Keep && st.Survey.Version == "" {
		return Failure{Code: CodeFile, Words: fmt.Sprintf("the clusters of %s run different versions of %s (%s), and the plan names none that its settings go with",
			st.Ring, st.Target.Service, joinNames(st.Survey.Versions)),
			Hint: fmt.Sprintf("rollout plan set %s %s=VERSION", t.s.Scope.App, st.Target.Service)}, true
	}
	for _, name := range st.Settings.Names() {
		if _, one := st.Survey.Settings[name]; !one {
			return Failure{Code: CodeFile, Words: fmt.Sprintf("%s gives the clusters of %s %s of %s, which could not be restored",
				st.Target.file(), st.Ring, severalValues(st.Survey.Unsettled[name]), name),
				Hint: fmt.Sprintf("give them one value of %s in it, then create the rollout again", name)}, true
		}
	}
	return t.foreignSetting(st)
}

func severalValues(all []string) string {
	if len(all) == 0 {
		return "no value"
	}
	return fmt.Sprintf("not one value (%s)", strings.Join(all, ", "))
}

// foreignSetting refuses a value in the file that this store did not write.
func (t *turn) foreignSetting(st *StepState) (Failure, bool) {
	if t.s.Options.Override && !st.Undo {
		return Failure{}, false
	}
	for _, name := range st.Settings.Names() {
		v := st.Survey.Settings[name]
		if v == st.Settings[name] || st.Known.WroteValue(name, v) || v == st.Attempt.Settings[name] {
			continue
		}
		return Failure{Code: CodeManual,
			Words: fmt.Sprintf("%s says %s=%s for %s, last recorded here is %s: commit %s by %s",
				st.Target.file(), name, v, st.Ring, st.Known.Settings[name], short(st.Survey.Commit), st.Survey.Author),
			Hint: fmt.Sprintf("rollout service adopt %s %s (records it as known), or create with --override --reason", t.s.Scope.App, st.Target.Service)}, true
	}
	return Failure{}, false
}

// agreesWith reports whether all clusters that the service is deployed to get
// what the step wants.
func (v *Survey) agreesWith(st *StepState) bool {
	return len(v.Expected) == 0 || (st.Keep || v.Version == st.To) && st.Settings.In(v.Settings)
}

// differs says in what a ring's upstream is not what the step wants.
func (v *Survey) differs(st *StepState) (says, wanted string) {
	if !st.Keep && v.Version != st.To {
		return joinNames(v.present()), string(st.To)
	}
	var is rings.Values
	for name := range st.Settings {
		is = is.With(rings.Values{name: v.Settings[name]})
	}
	return is.String(), st.Settings.String()
}

// wanted is what is rolled out: versions and values of settings.
type wanted struct {
	versions map[rings.ServiceName]rings.Version
	settings map[rings.ServiceName]rings.Values
}

// services are those of which something is wanted, sorted.
func (w wanted) services() []rings.ServiceName {
	all := append(sortedServices(w.versions), sortedServices(w.settings)...)
	slices.Sort(all)
	return slices.Compact(all)
}

// of sets what is wanted of the step's service.
func (w wanted) of(st NewStep) NewStep {
	name := st.Target.Service
	st.To, st.Settings = w.versions[name], w.settings[name]
	st.Keep = st.To == ""
	return st
}

// declares returns an *rings.UnknownError for a setting that the application
// does not have; nil when it has them all.
func (c Created) declares(a *rings.Application) error {
	return c.eachSetting(a, func(*rings.Setting, string) error { return nil })
}

// checkSettings is declares, and says of a value that is not allowed what is
// wrong with it.
func (c Created) checkSettings(a *rings.Application) error {
	return c.eachSetting(a, func(s *rings.Setting, value string) error {
		_, err := s.Parse(value)
		return err
	})
}

func (c Created) eachSetting(a *rings.Application, check func(*rings.Setting, string) error) error {
	for _, name := range sortedServices(c.Settings) {
		s, err := a.Service(name)
		if err != nil {
			return err
		}
		for _, setting := range c.Settings[name].Names() {
			o, err := s.Setting(setting)
			if err != nil {
				return err
			}
			if err := check(o, c.Settings[name][setting]); err != nil {
				return &rings.InvalidError{What: fmt.Sprintf("setting %s.%s", name, setting), Faults: []string{err.Error()}}
			}
		}
	}
	return nil
}

// Refuse says why the engine would refuse the settings of a step that is not
// begun, when the branch says what the survey does; false when it would not.
func Refuse(c Created, n NewStep, v Survey) (Failure, bool) {
	st := &StepState{Ring: n.Ring, Target: n.Target, Settings: n.Settings, Keep: n.Keep, To: n.To, Known: n.Known, Survey: &v}
	t := &turn{s: &State{Scope: c.Scope, Options: c.Options}}
	return t.refuseSettings(st)
}
