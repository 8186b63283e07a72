package rings

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
)

// Release is a numbered set of versions and settings of an application's
// services, with where they come from. It never changes.
type Release struct {
	App      AppName                 `json:"app"`
	Number   int                     `json:"number"`        // from 1
	Key      string                  `json:"key,omitempty"` // by which its maker finds it again; "" for none
	Versions map[ServiceName]Version `json:"versions"`
	Settings map[ServiceName]Values  `json:"settings,omitempty"`
	From     string                  `json:"from"` // what the versions were taken from, for people
	Commit   string                  `json:"commit,omitempty"`
	Author   string                  `json:"author,omitempty"`
	Message  string                  `json:"message,omitempty"`
	Link     string                  `json:"link,omitempty"` // of the run that made it
	By       string                  `json:"by"`
	At       time.Time               `json:"at"`
}

// releaseKey is what a key may look like.
var releaseKey = regexp.MustCompile(`^[!-~]{1,200}$`)

// Validate returns an *InvalidError that names every fault, or nil. Whether
// the services exist is not looked at.
func (r Release) Validate() error {
	var faults []string
	if len(r.Versions)+len(r.Settings) == 0 {
		faults = append(faults, "it has no versions")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		if err := r.Versions[name].Check(); err != nil {
			faults = append(faults, fmt.Sprintf("service %q: %v", name, err))
		}
	}
	if r.Key != "" && !releaseKey.MatchString(r.Key) {
		faults = append(faults, fmt.Sprintf("key %q: up to 200 visible characters without spaces are allowed", r.Key))
	}
	return invalid(fmt.Sprintf("release of application %q", r.App), faults...)
}

// Plan returns what the release says as a plan, by whom and when it was made.
func (r Release) Plan() Plan {
	out := make(Plan, len(r.Versions))
	for name, v := range r.Versions {
		out[name] = PlanEntry{Version: v, By: r.By, At: r.At}
	}
	for name, values := range r.Settings {
		e := PlanEntry{Version: out[name].Version, By: r.By, At: r.At, Settings: map[SettingName]PlanValue{}}
		for setting, value := range values {
			e.Settings[setting] = PlanValue{Value: value, By: r.By, At: r.At}
		}
		out[name] = e
	}
	return out
}

// Difference says in which content the other release differs, a line each;
// none when they say the same. Content is the versions, settings, commit, author and
// message: who made a release, when, in which run and from what may differ
// between two tries.
func (r Release) Difference(other Release) []string {
	var out []string
	note := func(what, ours, theirs string) {
		if ours != theirs {
			out = append(out, fmt.Sprintf("%s: %s there, %s here", what, orNone(ours), orNone(theirs)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bothOf(r.Versions, other.Versions))) {
		note(string(name), string(r.Versions[name]), string(other.Versions[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(bothOf(r.Settings, other.Settings))) {
		for _, setting := range r.Settings[name].With(other.Settings[name]).Names() {
			note(fmt.Sprintf("%s.%s", name, setting), r.Settings[name][setting], other.Settings[name][setting])
		}
	}
	note("commit", r.Commit, other.Commit)
	note("author", r.Author, other.Author)
	note("message", r.Message, other.Message)
	return out
}

// bothOf is a new map with the keys of both.
func bothOf[K comparable, V any](a, b map[K]V) map[K]V {
	out := make(map[K]V, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return fmt.Sprintf("%q", s)
}
