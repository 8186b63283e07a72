package rings

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
)

// Release is a numbered set of versions of an application's services, with
// where they come from. It never changes.
type Release struct {
	App      AppName                 `json:"app"`
	Number   int                     `json:"number"`        // from 1
	Key      string                  `json:"key,omitempty"` // by which its maker finds it again; "" for none
	Versions map[ServiceName]Version `json:"versions"`
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
	if len(r.Versions) == 0 {
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

// Plan returns the versions as a plan, by whom and when the release was made.
func (r Release) Plan() Plan {
	out := make(Plan, len(r.Versions))
	for name, v := range r.Versions {
		out[name] = PlanEntry{Version: v, By: r.By, At: r.At}
	}
	return out
}

// Difference says in which content the other release differs, a line each;
// none when they say the same. Content is the versions, commit, author and
// message: who made a release, when, in which run and from what may differ
// between two tries.
func (r Release) Difference(other Release) []string {
	var out []string
	note := func(what, ours, theirs string) {
		if ours != theirs {
			out = append(out, fmt.Sprintf("%s: %s there, %s here", what, orNone(ours), orNone(theirs)))
		}
	}
	all := maps.Clone(r.Versions)
	if all == nil {
		all = map[ServiceName]Version{}
	}
	maps.Copy(all, other.Versions)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		note(string(name), string(r.Versions[name]), string(other.Versions[name]))
	}
	note("commit", r.Commit, other.Commit)
	note("author", r.Author, other.Author)
	note("message", r.Message, other.Message)
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return fmt.Sprintf("%q", s)
}
