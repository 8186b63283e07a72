package rings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Application is the unit that is rolled out.
type Application struct {
	Name      AppName           `json:"name"`
	Workspace string            `json:"workspace"` // namespace of its Fleet objects
	Manager   string            `json:"manager"`   // uid of the manager's kube-system namespace
	RingLabel string            `json:"ringLabel"`
	Selector  map[string]string `json:"selector"`
	Rings     []Ring            `json:"rings"` // in rollout order
	Groups    []Group           `json:"groups,omitempty"`
	Services  []Service         `json:"services"` // in the order they were added
	Plan      Plan              `json:"plan,omitempty"`
	CreatedBy string            `json:"createdBy"`
	CreatedAt time.Time         `json:"createdAt"`
}

// Ring returns the ring of that name, or an *UnknownError; for the name of a
// group it is an *InvalidError. The pointer is into the application.
func (a *Application) Ring(name RingName) (*Ring, error) {
	i := slices.IndexFunc(a.Rings, func(r Ring) bool { return r.Name == name })
	if i < 0 {
		if err := a.notOne(name); err != nil {
			return nil, err
		}
		return nil, a.unknown("ring", string(name), names(a.RingNames()))
	}
	return &a.Rings[i], nil
}

// Service returns the service of that name, or an *UnknownError. The pointer
// is into the application.
func (a *Application) Service(name ServiceName) (*Service, error) {
	i := slices.IndexFunc(a.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return nil, a.unknown("service", string(name), names(a.ServiceNames()))
	}
	return &a.Services[i], nil
}

// RingNames returns the rings' names in rollout order.
func (a *Application) RingNames() []RingName {
	out := make([]RingName, len(a.Rings))
	for i, r := range a.Rings {
		out[i] = r.Name
	}
	return out
}

// ServiceNames returns the services' names in the order they were added.
func (a *Application) ServiceNames() []ServiceName {
	out := make([]ServiceName, len(a.Services))
	for i, s := range a.Services {
		out[i] = s.Name
	}
	return out
}

// RingLabels returns the labels that put a cluster into the ring: the
// selector's and the ring label. The map is new.
func (a *Application) RingLabels(ring RingName) map[string]string {
	out := maps.Clone(a.Selector)
	if out == nil {
		out = map[string]string{}
	}
	out[a.RingLabel] = string(ring)
	return out
}

// Owns reports whether a cluster with these labels belongs to the
// application, and on which ring; the ring is "" when it has no ring label.
// The ring need not be one of the application's.
func (a *Application) Owns(labels map[string]string) (RingName, bool) {
	for k, v := range a.Selector {
		if labels[k] != v {
			return "", false
		}
	}
	return RingName(labels[a.RingLabel]), true
}

// Dependents returns the services that depend on the named one directly,
// sorted.
func (a *Application) Dependents(name ServiceName) []ServiceName {
	var out []ServiceName
	for _, s := range a.Services {
		if slices.Contains(s.DependsOn, name) {
			out = append(out, s.Name)
		}
	}
	slices.Sort(out)
	return out
}

// Recorded returns the version that is recorded for each service on the ring;
// services without a record are not in it. The map is new.
func (a *Application) Recorded(ring RingName) map[ServiceName]Version {
	out := map[ServiceName]Version{}
	for _, s := range a.Services {
		if v := s.Known[ring].Version; v != "" {
			out[s.Name] = v
		}
	}
	return out
}

// RecordedSettings returns the values that are recorded for the settings of each
// service on the ring; nil when there are none. The map is new.
func (a *Application) RecordedSettings(ring RingName) map[ServiceName]Values {
	var out map[ServiceName]Values
	for _, s := range a.Services {
		if values := s.Known[ring].Settings; len(values) > 0 {
			if out == nil {
				out = map[ServiceName]Values{}
			}
			out[s.Name] = values.With(nil)
		}
	}
	return out
}

// Validate returns an *InvalidError that names every fault, or nil. A cycle of
// dependencies is returned as a [CycleError] when it is the only fault.
func (a *Application) Validate() error {
	faults := []string{CheckName("application", string(a.Name))}
	faults = append(faults, a.duplicates()...)
	for _, r := range a.Rings {
		faults = append(faults, faultsOf(r.Validate())...)
	}
	faults = append(faults, a.groupFaults()...)
	faults = append(faults, a.startFaults()...)
	for _, s := range a.Services {
		faults = append(faults, faultsOf(s.Validate())...)
		faults = append(faults, a.unknownDependencies(s)...)
	}
	what := fmt.Sprintf("application %q", a.Name)
	if err := invalid(what, faults...); err != nil {
		return err
	}
	_, err := a.Graph()
	return err
}

func (a *Application) duplicates() []string {
	var faults []string
	seen := map[string]bool{}
	note := func(kind, name string) {
		if seen[kind+"/"+name] {
			faults = append(faults, fmt.Sprintf("%s %q exists already", kind, name))
		}
		seen[kind+"/"+name] = true
	}
	for _, r := range a.Rings {
		note("ring", string(r.Name))
	}
	for _, g := range a.Groups {
		note("ring", string(g.Name))
	}
	for _, s := range a.Services {
		note("service", string(s.Name))
	}
	return faults
}

func (a *Application) unknownDependencies(s Service) []string {
	var faults []string
	for _, d := range s.DependsOn {
		if _, err := a.Service(d); err != nil {
			faults = append(faults, fmt.Sprintf("service %q depends on %v", s.Name, err))
		}
	}
	return faults
}

func (a *Application) unknown(kind, name string, known []string) error {
	return &UnknownError{Kind: kind, Name: name,
		Where: fmt.Sprintf("application %q", a.Name), Nearest: Nearest(name, known)}
}

// faultsOf returns the faults of a part, each with the part's name.
func faultsOf(err error) []string {
	var out []string
	if e, ok := errors.AsType[*InvalidError](err); ok {
		for _, f := range e.Faults {
			out = append(out, e.named(f))
		}
	}
	return out
}

func names[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, n := range in {
		out[i] = string(n)
	}
	return out
}
