package rings

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Plan is the version and the settings wanted for each service. A service
// without an entry is not touched. The zero value is the empty plan, to read from.
type Plan map[ServiceName]PlanEntry

// PlanEntry is one wanted version, with who wanted it and since when, and the
// wanted settings. Version is "" where only settings are planned: then each ring
// keeps the version that it has.
type PlanEntry struct {
	Version  Version                   `json:"version"`
	By       string                    `json:"by"`
	At       time.Time                 `json:"at"`
	Settings map[SettingName]PlanValue `json:"settings,omitempty"`
}

// PlanValue is one wanted value of a setting.
type PlanValue struct {
	Value string    `json:"value"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
}

// Values returns the bare values of the entry's settings; nil for none.
func (e PlanEntry) Values() Values {
	var out Values
	for name, v := range e.Settings {
		out = out.With(Values{name: v.Value})
	}
	return out
}

// Versions returns the bare versions, a new map, empty when none is planned.
func (p Plan) Versions() map[ServiceName]Version {
	out := make(map[ServiceName]Version, len(p))
	for name, e := range p {
		if e.Version != "" {
			out[name] = e.Version
		}
	}
	return out
}

// Settings returns the bare values of settings; nil when none is planned.
func (p Plan) Settings() map[ServiceName]Values {
	var out map[ServiceName]Values
	for name, e := range p {
		if len(e.Settings) == 0 {
			continue
		}
		if out == nil {
			out = map[ServiceName]Values{}
		}
		out[name] = e.Values()
	}
	return out
}

// Only returns the entries of the named services; an empty list of names
// means all. A name without an entry is an *InvalidError.
func (p Plan) Only(names []ServiceName) (Plan, error) {
	if len(names) == 0 {
		return maps.Clone(p), nil
	}
	out, faults := Plan{}, []string{}
	for _, n := range names {
		e, ok := p[n]
		if !ok {
			faults = append(faults, fmt.Sprintf("service %q has no version in the plan", n))
			continue
		}
		out[n] = e
	}
	return out, invalid("plan", faults...)
}

// Names returns the services with an entry, sorted.
func (p Plan) Names() []ServiceName {
	return slices.Sorted(maps.Keys(p))
}
