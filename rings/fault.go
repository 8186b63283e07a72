package rings

import (
	"errors"
	"fmt"
	"strings"
)

// InvalidError holds everything that is wrong with a value, in the order of
// the source. It is never empty when it is returned.
type InvalidError struct {
	What   string   // the noun and its name: `application "shop"`
	Faults []string // each says what, which and where
}

// Error joins the faults, a line each when there are several.
func (e *InvalidError) Error() string {
	if len(e.Faults) == 1 {
		return e.named(e.Faults[0])
	}
	return e.What + ":\n  " + strings.Join(e.Faults, "\n  ")
}

// named is the fault with what it is about, once.
func (e *InvalidError) named(fault string) string {
	if strings.HasPrefix(fault, e.What) {
		return fault
	}
	return e.What + ": " + fault
}

// invalid returns nil when there is no fault. Empty strings are no faults.
func invalid(what string, faults ...string) error {
	var kept []string
	for _, f := range faults {
		if f != "" {
			kept = append(kept, f)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return &InvalidError{What: what, Faults: kept}
}

var (
	// ErrCycle is wrapped by every error about a cycle of dependencies.
	ErrCycle = errors.New("dependency cycle")
	// ErrUnknown is wrapped by every error about a name that is not there; see
	// [UnknownError] for the nearest one that is.
	ErrUnknown = errors.New("not found")
	// ErrExists is wrapped by every error about a name that is taken.
	ErrExists = errors.New("exists already")
	// ErrInUse is wrapped when something that others need would be removed.
	ErrInUse = errors.New("still needed")
)

// InUseError says what still needs something that should be removed. It wraps
// [ErrInUse].
type InUseError struct {
	Kind, Name string   // of what should be removed: "ring", "ring-1"
	App        AppName  // whose it is
	ByKind     string   // of those that need it: "service", "cluster"
	By         []string // sorted; never empty
}

// Error names what is needed, and by whom.
func (e *InUseError) Error() string {
	plural := ""
	if len(e.By) > 1 {
		plural = "s"
	}
	return fmt.Sprintf("%s %q of application %q: %v by the %s%s %s", e.Kind, e.Name, e.App, ErrInUse, e.ByKind, plural, strings.Join(e.By, ", "))
}

// Unwrap returns ErrInUse.
func (e *InUseError) Unwrap() error { return ErrInUse }
