package rings

import "slices"

// RemoveService forgets the service, with its entry in the plan, and returns
// it. It is an [InUseError] while others depend on it, and nothing is changed.
func (a *Application) RemoveService(name ServiceName) (Service, error) {
	s, err := a.Service(name)
	if err != nil {
		return Service{}, err
	}
	if needed := a.Dependents(name); len(needed) > 0 {
		return *s, &InUseError{Kind: "service", Name: string(name), App: a.Name, ByKind: "service", By: names(needed)}
	}
	removed := *s
	a.Services = slices.DeleteFunc(a.Services, func(s Service) bool { return s.Name == name })
	delete(a.Plan, name)
	return removed, nil
}

// RemoveRing forgets the ring, with all that is known of the services there,
// and returns it. It is an *InUseError while a group has it; whether there are
// clusters on it is not for it to say.
func (a *Application) RemoveRing(name RingName) (Ring, error) {
	r, err := a.Ring(name)
	if err != nil {
		return Ring{}, err
	}
	if groups := a.GroupsOf(name); len(groups) > 0 {
		return *r, &InUseError{Kind: "ring", Name: string(name), App: a.Name, ByKind: "ring group", By: names(groups)}
	}
	removed := *r
	a.Rings = slices.DeleteFunc(a.Rings, func(r Ring) bool { return r.Name == name })
	for i := range a.Services {
		delete(a.Services[i].Known, name)
		delete(a.Services[i].Held, name)
	}
	return removed, nil
}

// NeedsIt returns the services that depend on the named one, directly or
// through others, sorted.
func (a *Application) NeedsIt(name ServiceName) []ServiceName {
	found := map[ServiceName]bool{}
	for open := []ServiceName{name}; len(open) > 0; open = open[1:] {
		for _, d := range a.Dependents(open[0]) {
			if !found[d] {
				found[d] = true
				open = append(open, d)
			}
		}
	}
	var out []ServiceName
	for d := range found {
		out = append(out, d)
	}
	slices.Sort(out)
	return out
}
