package rings

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Closure is a time in which nothing starts on a ring: what one denying window
// makes of it, or what the allowing windows of one scope leave out.
type Closure struct {
	Ring RingName   `json:"ring"`
	Kind WindowKind `json:"kind"` // of the windows
	// Windows close the ring: the one that denies, or all that would allow.
	Windows []WindowName `json:"windows"`
	// Made is when the last of them was made: another window of the same name
	// is another one.
	Made time.Time `json:"made"`
	// From is zero when it has been so for as long as is looked, ten years, and
	// Until when it will be.
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Opens is when the ring is open again, by all of its windows; zero when it
	// is not for as long as is looked.
	Opens time.Time `json:"opens,omitzero"`
	Words string    `json:"words"` // which windows, and why
}

// Stands reports whether the ring is closed by it at the time.
func (c Closure) Stands(now time.Time) bool { return !now.Before(c.From) && !c.Over(now) }

// Over reports whether the closure is past.
func (c Closure) Over(now time.Time) bool { return !c.Until.IsZero() && !now.Before(c.Until) }

// Same reports whether both are the same time of the same windows.
func (c Closure) Same(o Closure) bool {
	return c.Ring == o.Ring && c.Kind == o.Kind && slices.Equal(c.Windows, o.Windows) && c.Made.Equal(o.Made) && c.Until.Equal(o.Until)
}

// Told says what closes the ring, and when it opens.
func (c Closure) Told() string {
	opens := "no opening is in sight"
	if !c.Opens.IsZero() {
		opens = "opens at " + c.Opens.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s is %s; %s", c.Ring, c.Words, opens)
}

// Closures returns for each of the rings, in order, the closures that stand,
// and of what does not close it now the next one. Rings that windows never
// close have none. The error is of a zone or cron that cannot be read.
func Closures(windows []Window, names []RingName, at time.Time, zones Zones) ([]Closure, error) {
	var out []Closure
	for _, ring := range names {
		all, err := causesOf(windows, ring, zones)
		if err != nil {
			return nil, err
		}
		for _, c := range all.causes {
			if closure, ok := c.closure(ring, at); ok {
				closure.Opens = nextTurn(all.timers, all.open, later(closure.From, at))
				out = append(out, closure)
			}
		}
	}
	return out, nil
}

// cause is what closes a ring by itself: a denying window, or all allowing
// ones of a scope.
type cause struct{ timers []timer }

// causes are all of a ring, and the windows that they are made of.
type causes struct {
	causes []cause
	timers []timer
}

func causesOf(windows []Window, ring RingName, zones Zones) (causes, error) {
	var out causes
	allow := map[RingName]*cause{"": {}, ring: {}}
	for _, w := range windows {
		if w.Ring != "" && w.Ring != ring {
			continue
		}
		t, err := timerOf(w, zones)
		if err != nil {
			return causes{}, err
		}
		out.timers = append(out.timers, t)
		if w.Kind == WindowAllow {
			allow[w.Ring].timers = append(allow[w.Ring].timers, t)
			continue
		}
		out.causes = append(out.causes, cause{[]timer{t}})
	}
	for _, scope := range []RingName{"", ring} {
		if c := allow[scope]; len(c.timers) > 0 {
			out.causes = append(out.causes, *c)
		}
	}
	return out, nil
}

// open reports whether nothing closes the ring.
func (c causes) open(at time.Time) bool {
	return !slices.ContainsFunc(c.causes, func(one cause) bool { return one.closes(at) })
}

// closes reports whether the cause closes its rings.
func (c cause) closes(at time.Time) bool {
	on := slices.ContainsFunc(c.timers, func(t timer) bool { return t.on(at) })
	return on == (c.timers[0].Kind == WindowDeny)
}

// closure returns the one of the ring that stands, or else the next one; false
// when there is none.
func (c cause) closure(ring RingName, at time.Time) (Closure, bool) {
	out := Closure{Ring: ring, Kind: c.timers[0].Kind, Words: c.words()}
	for _, t := range c.timers {
		out.Windows, out.Made = append(out.Windows, t.Name), later(out.Made, t.At)
	}
	if c.closes(at) {
		out.From = lastTurn(c.timers, c.closes, at)
	} else if out.From = nextTurn(c.timers, c.closes, at); out.From.IsZero() {
		return out, false
	}
	out.Until = nextTurn(c.timers, c.closes, later(out.From, at))
	return out, true
}

// words say which windows close the ring, when, and why.
func (c cause) words() string {
	var all []string
	for _, t := range c.timers {
		text := fmt.Sprintf("%q (%s", t.Name, t.When())
		if t.By != "" {
			text += ", by " + t.By
		}
		text += ")"
		if t.Reason != "" {
			text += ": " + t.Reason
		}
		all = append(all, text)
	}
	if c.timers[0].Kind == WindowDeny {
		return "closed by the window " + all[0]
	}
	return "outside of what is allowed: " + strings.Join(all, "; ")
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
