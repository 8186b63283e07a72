package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollout/rings"
)

// foreignError refuses a version in a service's file that nothing recorded here
// explains.
type foreignError struct {
	*commandError
	service rings.ServiceName
	words   string // for who leaves the service out
}

// Unwrap returns the error with its code and hint.
func (e *foreignError) Unwrap() error { return e.commandError }

// changedService is a service whose file says something else than was verified.
type changedService struct {
	service rings.ServiceName
	words   string
}

// changedError says that nothing but files that somebody changed by hand is in a
// train's way: it goes without these services.
type changedError struct {
	services map[rings.ServiceName]string // each with the words
}

// Error names the services' files.
func (e *changedError) Error() string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(e.services)) {
		words = append(words, fmt.Sprintf("service %q: %s", name, e.services[name]))
	}
	return strings.Join(words, "\n       ")
}

// changed is what a train is to leave, because it was changed by hand on its ring or
// on the one before; nil when there is nothing, or something else is in the way.
func (l *prospect) changed(faults []error) map[rings.ServiceName]string {
	if l.created.Train == nil || l.created.Options.Override {
		return nil
	}
	out := map[rings.ServiceName]string{}
	for _, ring := range l.created.Rings {
		if ring.Upstream == "" {
			continue
		}
		for _, c := range l.changedSince(ring) {
			out[c.service] = fmt.Sprintf("its fleet.yaml says %s for %s now", c.words, ring.Upstream)
		}
	}
	for _, err := range faults {
		if err == nil {
			continue
		}
		foreign, ok := errors.AsType[*foreignError](err)
		if !ok {
			return nil
		}
		out[foreign.service] = foreign.words
	}
	return out
}
