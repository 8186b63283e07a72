package rings

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/cronexpr"
)

// WindowName is the name of a window, unique in its application.
type WindowName string

// Window is a time in which things may start, or must not. What runs when it
// closes may finish.
//
// With Cron it is a time of the clock on the wall in its Zone: it is on while
// that clock shows a time from a start on until Lasts later. So what is said in
// hours of the day stays right when clocks are changed: a window from 22:00 for
// 8h ends at 06:00 in every night, one that begins in an hour that is skipped is
// on from the moment at which the clock goes on, and one in an hour that comes
// twice is on both times.
type Window struct {
	App  AppName    `json:"app"`
	Name WindowName `json:"name"`
	Ring RingName   `json:"ring,omitempty"` // "" for all rings
	Kind WindowKind `json:"kind"`
	// Cron is when it starts: minute, hour, day of the month, month, day of the
	// week. Lasts is how long it is on then. Starts that follow before it is over
	// make it longer, and it must be off at some time.
	Cron  string        `json:"cron,omitempty"`
	Lasts time.Duration `json:"lasts,omitempty"`
	// From and To are its only time when there is no Cron; a zero one is open.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Zone is the IANA name of the time zone of Cron, and in which From and To
	// are shown.
	Zone   string    `json:"zone"`
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"` // when it was made
}

// WindowKind says what a window is for.
type WindowKind string

// Kinds of windows. A ring is closed while a denying one is on, and while it
// has allowing ones of which none is on; so is every ring for those of the
// application.
const (
	WindowAllow WindowKind = "allow"
	WindowDeny  WindowKind = "deny"
)

// Zones finds the time zone of an IANA name, like [time.LoadLocation]. A zone
// must be found again by all later programs, so a program brings its own.
type Zones func(name string) (*time.Location, error)

// searchedStarts is how many starts of a window may follow each other without
// an end.
const searchedStarts = 400

// Validate returns an *InvalidError that names every fault, or nil. Whether the
// ring is there is not asked.
func (w Window) Validate(zones Zones) error {
	faults := []string{CheckName("window", string(w.Name)), oneOf("kind", w.Kind, "", WindowAllow, WindowDeny)}
	if HasControl(w.Reason) {
		faults = append(faults, "the reason has a control character")
	}
	if w.Kind == "" {
		faults = append(faults, `kind: one of "allow", "deny"`)
	}
	if !knownZone(w.Zone, zones) {
		faults = append(faults, fmt.Sprintf("time zone %q: an IANA name is needed, like Europe/Berlin or UTC", w.Zone))
	}
	if w.Cron != "" {
		faults = append(faults, w.cronFaults()...)
	} else {
		faults = append(faults, w.spanFaults()...)
	}
	return invalid(fmt.Sprintf("window %q", w.Name), faults...)
}

// spanFaults are those of a window without cron.
func (w Window) spanFaults() []string {
	var out []string
	if w.From.IsZero() && w.To.IsZero() {
		out = append(out, "when is it on? cron with a duration, or from and to, is needed")
	}
	if w.Lasts != 0 {
		out = append(out, "a duration is for cron; from and to say their own")
	}
	if !w.From.IsZero() && w.From.Equal(w.To) {
		out = append(out, fmt.Sprintf("it would begin and end at %s: it would never be on", w.To.UTC().Format(time.RFC3339)))
	}
	if !w.From.IsZero() && !w.To.IsZero() && w.From.After(w.To) {
		out = append(out, fmt.Sprintf("it would end at %s, before it begins at %s", w.To.UTC().Format(time.RFC3339), w.From.UTC().Format(time.RFC3339)))
	}
	return out
}

func (w Window) cronFaults() []string {
	var out []string
	if !w.From.IsZero() || !w.To.IsZero() {
		out = append(out, "cron, and from and to, exclude each other")
	}
	if w.Lasts < time.Minute {
		out = append(out, fmt.Sprintf("duration %s: at least 1m is needed", w.Lasts))
	}
	expr, err := parseCron(w.Cron)
	if err != nil {
		return append(out, err.Error())
	}
	return append(out, w.overlap(expr))
}

// overlap is the fault of a window that always starts again before it is over.
func (w Window) overlap(expr *cronexpr.Expression) string {
	first := expr.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Second))
	if first.IsZero() {
		return fmt.Sprintf("cron %q: there is no such day", w.Cron)
	}
	last := first
	for range searchedStarts {
		next := expr.Next(last)
		if next.IsZero() || next.Sub(last) > w.Lasts {
			return ""
		}
		last = next
	}
	return fmt.Sprintf("it lasts %s and starts again after %s: it would never be off in between; use a longer cron, or a lock", w.Lasts, expr.Next(first).Sub(first))
}

// parseCron reads the five fields, and no others: names of schedules and
// seconds are of other tools.
func parseCron(text string) (*cronexpr.Expression, error) {
	if n := len(strings.Fields(text)); n != 5 {
		return nil, fmt.Errorf("cron %q: five fields are needed, minute hour day month weekday, like \"0 18 * * 5\"", text)
	}
	expr, err := cronexpr.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("cron %q: %w", text, err)
	}
	return expr, nil
}

// On reports whether the window is on at the time, since when and until when.
// A zero time means that it was or will be so for as long as it is looked for:
// ten years. The error is of a zone or cron that cannot be read.
func (w Window) On(at time.Time, zones Zones) (on bool, since, until time.Time, err error) {
	t, err := timerOf(w, zones)
	if err != nil {
		return false, time.Time{}, time.Time{}, err
	}
	timers := []timer{t}
	return t.on(at), lastTurn(timers, t.on, at), nextTurn(timers, t.on, at), nil
}

// When says in words when the window is on.
func (w Window) When() string {
	if w.Cron != "" {
		return fmt.Sprintf("%q for %s, %s", w.Cron, shortDuration(w.Lasts), w.Zone)
	}
	var words []string
	if !w.From.IsZero() {
		words = append(words, "from "+w.From.UTC().Format("2006-01-02T15:04Z"))
	}
	if !w.To.IsZero() {
		words = append(words, "until "+w.To.UTC().Format("2006-01-02T15:04Z"))
	}
	return strings.Join(words, " ")
}

// shortDuration is a duration without its zero parts.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
