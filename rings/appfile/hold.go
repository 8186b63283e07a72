package appfile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollout/rings"
)

// Hold puts the locks and windows of the application into the file. Locks that
// have run out by then are left out.
func (f *File) Hold(locks []rings.Lock, windows []rings.Window, now time.Time) {
	for _, l := range locks {
		if l.Stands(now) {
			f.Locks = append(f.Locks, Lock{Ring: l.Ring, Service: l.Service, Cluster: l.Cluster, ClusterGroup: l.Group, Holder: l.Holder, Reason: l.Reason, Link: l.Link, Until: l.Until})
		}
	}
	for _, w := range windows {
		f.Windows = append(f.Windows, Window{Name: w.Name, Kind: w.Kind, Ring: w.Ring, Cron: w.Cron, Duration: Span(w.Lasts), From: w.From, To: w.To, TimeZone: w.Zone, Reason: w.Reason})
	}
}

func (l Lock) lock(app rings.AppName) rings.Lock {
	return rings.Lock{App: app, Ring: l.Ring, Service: l.Service, Cluster: l.Cluster, Group: l.ClusterGroup, Holder: l.Holder, Reason: rings.OneLine(l.Reason), Link: l.Link, Until: l.Until.UTC()}
}

func (w Window) window(app rings.AppName) rings.Window {
	return rings.Window{App: app, Name: w.Name, Kind: w.Kind, Ring: w.Ring, Cron: w.Cron, Lasts: time.Duration(w.Duration), From: w.From.UTC(), To: w.To.UTC(),
		Zone: or(w.TimeZone, "UTC"), Reason: rings.OneLine(w.Reason)}
}

// WindowsOf are the windows that the file describes.
func (f *File) WindowsOf() []rings.Window {
	out := make([]rings.Window, len(f.Windows))
	for i, w := range f.Windows {
		out[i] = w.window(f.Name)
	}
	return out
}

// holdFaults are what is wrong with locks and windows, their time zones aside:
// to know these is for whoever has a clock.
func (f *File) holdFaults(a *rings.Application) []string {
	var faults []string
	note := func(what string, errs ...error) {
		for _, err := range errs {
			switch {
			case err == nil:
			case strings.HasPrefix(err.Error(), what):
				faults = append(faults, err.Error())
			default:
				faults = append(faults, fmt.Sprintf("%s: %v", what, err))
			}
		}
	}
	var locks []rings.Lock
	for _, l := range f.Locks {
		v := l.lock(f.Name)
		if note("lock of "+v.Part(), v.Validate(), knownRing(a, v.Ring), knownService(a, v.Service)); slices.ContainsFunc(locks, v.Same) {
			faults = append(faults, fmt.Sprintf("lock of %s: %s has it twice", v.Part(), v.Holder))
		}
		locks = append(locks, v)
	}
	named := map[rings.WindowName]bool{}
	for _, v := range f.WindowsOf() {
		what := fmt.Sprintf("window %q", v.Name)
		if note(what, v.Validate(anyZone), knownRing(a, v.Ring)); named[v.Name] {
			faults = append(faults, fmt.Sprintf("window %q exists already", v.Name))
		}
		named[v.Name] = true
	}
	return faults
}

func anyZone(string) (*time.Location, error) { return time.UTC, nil }

func knownRing(a *rings.Application, name rings.RingName) error {
	if name == "" {
		return nil
	}
	_, err := a.Ring(name)
	return err
}

func knownService(a *rings.Application, name rings.ServiceName) error {
	if name == "" {
		return nil
	}
	_, err := a.Service(name)
	return err
}

// noLocks is why locks that a file says nothing of are kept: they may have been
// set an hour ago, by somebody who needs them.
const noLocks = "the file has no \"locks\"; with \"locks: []\" it would be released"

func compareLocks(d *Difference, s State, f *File, _ *rings.Application) {
	var wanted []rings.Lock
	for _, l := range f.Locks {
		v := l.lock(f.Name)
		wanted = append(wanted, v)
		at := slices.IndexFunc(s.Locks, v.Same)
		switch {
		case !v.Stands(s.Now):
		case at < 0:
			d.Changes = append(d.Changes, Change{Kind: SetLock, Lock: v, Words: []string{fmt.Sprintf("lock %s for %s: %s", v.Part(), v.Holder, v.Reason)}})
		default:
			d.setLock(s.Locks[at], v)
		}
	}
	for _, l := range s.Locks {
		if !l.Stands(s.Now) || slices.ContainsFunc(wanted, l.Same) {
			continue
		}
		e := Extra{Kind: "lock", Name: lockName(l), Words: l.Reason, Command: l.Release()}
		if f.Locks == nil {
			e.Keep = noLocks
		}
		d.Extra = append(d.Extra, e)
	}
}

// lockName names the lock among those of its application.
func lockName(l rings.Lock) string { return fmt.Sprintf("%s by %s", l.Part(), l.Holder) }

func (d *Difference) setLock(from, to rings.Lock) {
	words := differing("reason", from.Reason, to.Reason)
	words = append(words, differing("link", from.Link, to.Link)...)
	words = append(words, differing("until", timeWords(from.Until), timeWords(to.Until))...)
	if len(words) > 0 {
		d.Changes = append(d.Changes, Change{Kind: SetLock, Lock: to, Words: []string{fmt.Sprintf("lock %s for %s again: %s", to.Part(), to.Holder, strings.Join(words, ", "))}})
	}
}

func compareWindows(d *Difference, s State, f *File, _ *rings.Application) {
	stored := map[rings.WindowName]rings.Window{}
	for _, w := range s.Windows {
		stored[w.Name] = w
	}
	for _, w := range f.WindowsOf() {
		old, there := stored[w.Name]
		delete(stored, w.Name)
		if !there {
			d.Changes = append(d.Changes, Change{Kind: SetWindow, Window: w, Words: []string{fmt.Sprintf("add window %q: %s", w.Name, strings.Join(windowChanges(rings.Window{}, w), ", "))}})
		} else if words := windowChanges(old, w); len(words) > 0 {
			d.Changes = append(d.Changes, Change{Kind: SetWindow, Window: w, Words: []string{fmt.Sprintf("update window %q: %s", w.Name, strings.Join(words, ", "))}})
		}
	}
	for _, w := range s.Windows {
		if _, extra := stored[w.Name]; extra {
			d.Extra = append(d.Extra, Extra{Kind: "window", Name: string(w.Name), Words: w.Reason, Command: fmt.Sprintf("rollout window remove %s %s", f.Name, w.Name)})
		}
	}
}

func windowChanges(from, to rings.Window) []string {
	var out []string
	for _, c := range []struct{ what, from, to string }{
		{"kind", string(from.Kind), string(to.Kind)}, {"ring", string(from.Ring), string(to.Ring)}, {"cron", from.Cron, to.Cron},
		{"duration", spanWords(from.Lasts), spanWords(to.Lasts)}, {"from", timeWords(from.From), timeWords(to.From)}, {"to", timeWords(from.To), timeWords(to.To)},
		{"timeZone", from.Zone, to.Zone}, {"reason", from.Reason, to.Reason},
	} {
		out = append(out, differing(c.what, c.from, c.to)...)
	}
	return out
}

// differing says how a value changes; nothing when it does not. What was not
// there before is told without that.
func differing(what, from, to string) []string {
	switch {
	case from == to:
		return nil
	case from == "":
		return []string{what + " " + to}
	}
	return []string{fmt.Sprintf("%s %s -> %s", what, from, or(to, "none"))}
}

func timeWords(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func spanWords(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return Span(d).String()
}

// pruneHold returns the changes that release locks and remove windows.
func (d Difference) pruneHold(s State) []Change {
	var out []Change
	for _, l := range s.Locks {
		if d.prunes("lock", lockName(l)) {
			out = append(out, Change{Kind: RemoveLock, Lock: l, Words: []string{fmt.Sprintf("release the lock of %s on %s", l.Holder, l.Part())}})
		}
	}
	for _, w := range s.Windows {
		if d.prunes("window", string(w.Name)) {
			out = append(out, Change{Kind: RemoveWindow, Window: w, Words: []string{fmt.Sprintf("remove window %q", w.Name)}})
		}
	}
	return out
}
