package rings

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Plan is the version wanted for each service. A service without an entry is
// not touched. The zero value is the empty plan, to read from.
type Plan map[ServiceName]PlanEntry

// PlanEntry is one wanted version, with who wanted it and since when.
type PlanEntry struct {
	Version Version   `json:"version"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// Versions returns the bare versions, a new map, empty for an empty plan.
func (p Plan) Versions() map[ServiceName]Version {
	out := make(map[ServiceName]Version, len(p))
	for name, e := range p {
		out[name] = e.Version
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
