package rings

import (
	"archive/zip"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWindow_everyZone holds windows against every change of the clocks in 2026
// and 2027, in every zone: what is on is what the clock on the wall says. For one zone of
// each kind of change it does so minute by minute, and with each turn.
func TestWindow_everyZone(t *testing.T) {
	zones := everyZone(t)
	seen, changes := map[string]bool{}, 0
	for name, zone := range zones {
		for _, change := range changesOf(zone) {
			changes++
			_, before := change.Add(-1).In(zone).Zone()
			_, after := change.In(zone).Zone()
			kind := fmt.Sprint(change.Unix(), before, after)
			first := !seen[kind]
			seen[kind] = true
			for _, w := range aroundChange(change, before, after) {
				w.Zone = name
				againstClock(t, w, zone, change, first)
			}
		}
	}
	if len(zones) < 400 || changes < 400 {
		t.Errorf("%d zones with %d changes of the clock: where are the others?", len(zones), changes)
	}
	t.Logf("%d zones, %d changes, %d kinds", len(zones), changes, len(seen))
}

// everyZone reads the zones that come with Go.
func everyZone(t *testing.T) map[string]*time.Location {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out := map[string]*time.Location{}
	for _, f := range r.File {
		if f.FileInfo().IsDir() {
			continue
		}
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		in.Close()
		if out[f.Name], err = time.LoadLocationFromTZData(f.Name, data); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	return out
}

// changesOf are the zone's changes of the clock in 2026 and 2027.
func changesOf(zone *time.Location) []time.Time {
	var out []time.Time
	end := time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); ; {
		_, next := at.In(zone).ZoneBounds()
		if next.IsZero() || !next.Before(end) {
			return out
		}
		out, at = append(out, next.UTC()), next
	}
}

// aroundChange are daily windows that begin before, in and after the hours that
// are skipped or come twice.
func aroundChange(change time.Time, before, after int) []Window {
	from := change.Add(time.Duration(min(before, after)) * time.Second)
	var out []Window
	for _, begins := range []time.Duration{-4 * time.Hour, -30 * time.Minute, 0, 20 * time.Minute} {
		for _, lasts := range []time.Duration{10 * time.Minute, 8 * time.Hour} {
			start := from.Add(begins)
			out = append(out, Window{Name: "w", Kind: WindowDeny, Cron: fmt.Sprintf("%d %d * * *", start.Minute(), start.Hour()), Lasts: lasts})
		}
	}
	return out
}

// againstClock compares a daily window with a clock that is read: every half
// hour, and closely every minute and all turns.
func againstClock(t *testing.T, w Window, zone *time.Location, change time.Time, closely bool) {
	t.Helper()
	timed, err := timerOf(w, func(string) (*time.Location, error) { return zone, nil })
	if err != nil {
		t.Fatal(err)
	}
	var minute, hour int
	if _, err := fmt.Sscan(w.Cron, &minute, &hour); err != nil {
		t.Fatal(err)
	}
	on := func(at time.Time) bool {
		clock := at.In(zone)
		since := (clock.Hour()*60 + clock.Minute() - hour*60 - minute + 1440) % 1440
		return time.Duration(since)*time.Minute < w.Lasts
	}
	timers, step := []timer{timed}, 30*time.Minute
	if closely {
		step = time.Minute
	}
	for at := change.Add(-90 * time.Minute); at.Before(change.Add(150 * time.Minute)); at = at.Add(step) {
		if got, want := timed.on(at), on(at); got != want {
			t.Fatalf("%s: %q for %s at %s: on is %t, the clock says %t", w.Zone, w.Cron, w.Lasts, at.In(zone), got, want)
		}
		if !closely || at.Minute() != 0 {
			continue
		}
		next, last := at.Add(time.Minute), at
		for on(next) == on(at) {
			next = next.Add(time.Minute)
		}
		for on(last.Add(-time.Minute)) == on(at) {
			last = last.Add(-time.Minute)
		}
		if got := nextTurn(timers, timed.on, at); !got.Equal(next) {
			t.Fatalf("%s: %q for %s at %s: it turns next at %s, the clock says %s", w.Zone, w.Cron, w.Lasts, at.In(zone), got.In(zone), next.In(zone))
		}
		if got := lastTurn(timers, timed.on, at); !got.Equal(last) {
			t.Fatalf("%s: %q for %s at %s: it turned last at %s, the clock says %s", w.Zone, w.Cron, w.Lasts, at.In(zone), got.In(zone), last.In(zone))
		}
	}
}
