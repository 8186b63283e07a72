package rings

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestSchedule_everyZone holds schedules against every change of the clocks in
// 2026 and 2027, in every zone: a moment is when the clock on the wall first
// shows it, or has skipped it.
func TestSchedule_everyZone(t *testing.T) {
	seen := map[string]bool{}
	for name, zone := range everyZone(t) {
		for _, change := range changesOf(zone) {
			_, before := change.Add(-1).In(zone).Zone()
			_, after := change.In(zone).Zone()
			kind := fmt.Sprint(change.Unix(), before, after)
			if seen[kind] {
				continue
			}
			seen[kind] = true
			for _, cron := range cronsAround(change, before, after) {
				momentsAgainstClock(t, Schedule{Cron: cron, Zone: name}, zone, change)
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("%d kinds of changes: where are the others?", len(seen))
	}
}

// cronsAround begin before, in and after the hours that are skipped or come
// twice.
func cronsAround(change time.Time, before, after int) []string {
	out := []string{"*/20 * * * *", "5 * * * *"}
	from := change.Add(time.Duration(min(before, after)) * time.Second)
	for _, off := range []time.Duration{-4 * time.Hour, -30 * time.Minute, 0, 20 * time.Minute, 90 * time.Minute} {
		at := from.Add(off)
		out = append(out, fmt.Sprintf("%d %d * * *", at.Minute(), at.Hour()))
	}
	return out
}

// momentsAgainstClock reads a clock minute by minute.
func momentsAgainstClock(t *testing.T, s Schedule, zone *time.Location, change time.Time) {
	t.Helper()
	zones := func(string) (*time.Location, error) { return zone, nil }
	expr, err := parseCron(s.Cron)
	if err != nil {
		t.Fatal(err)
	}
	from, to := change.Add(-6*time.Hour), change.Add(6*time.Hour)
	got, err := s.Next(from, zones)
	if err != nil {
		t.Fatal(err)
	}
	latest, last := shownIn(zone, from), time.Time{}
	for at := from.Add(time.Minute); at.Before(to); at = at.Add(time.Minute) {
		shows := shownIn(zone, at)
		if !shows.After(latest) {
			continue
		}
		if next := expr.Next(latest); !next.IsZero() && !next.After(shows) {
			if !got.Equal(at) {
				t.Fatalf("%s: %q: the clock says %s, next is %s", s.Zone, s.Cron, at.In(zone), got.In(zone))
			}
			last = at
			if got, err = s.Next(got, zones); err != nil {
				t.Fatal(err)
			}
		}
		latest = shows
	}
	if found, err := s.Last(to.Add(-time.Minute), zones); err != nil || !last.IsZero() && !found.Equal(last) {
		t.Fatalf("%s: %q before %s: the last is %s, want %s (%v)", s.Zone, s.Cron, to.In(zone), found.In(zone), last.In(zone), err)
	}
}

func TestSchedule_Last(t *testing.T) {
	at := func(text string) time.Time {
		out, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, test := range []struct{ cron, zone, now, last, next string }{
		{"0 6 * * 1-5", "Europe/Berlin", "2026-11-23T05:00:00Z", "2026-11-23T05:00:00Z", "2026-11-24T05:00:00Z"},
		{"0 6 * * 1-5", "Europe/Berlin", "2026-11-23T04:59:59Z", "2026-11-20T05:00:00Z", "2026-11-23T05:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}, // skipped
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T01:45:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}, // comes twice
		{"* * * * *", "UTC", "2026-11-20T12:00:30Z", "2026-11-20T12:00:00Z", "2026-11-20T12:01:00Z"},
		{"0 0 29 2 *", "UTC", "2026-11-20T12:00:00Z", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 31 12 *", "Pacific/Apia", "2012-01-02T00:00:00Z", "2011-12-30T10:00:00Z", "2012-12-30T10:00:00Z"}, // after a day that was skipped
	} {
		s := Schedule{Cron: test.cron, Zone: test.zone}
		last, err := s.Last(at(test.now), time.LoadLocation)
		if err != nil || !last.Equal(at(test.last)) {
			t.Errorf("%s at %s: last %s, %v, want %s", s, test.now, last, err, test.last)
		}
		next, err := s.Next(at(test.now), time.LoadLocation)
		if err != nil || !next.Equal(at(test.next)) {
			t.Errorf("%s at %s: next %s, %v, want %s", s, test.now, next, err, test.next)
		}
	}
}

func TestRing_Validate_starts(t *testing.T) {
	for _, test := range []struct {
		name string
		s    Starts
		want string
	}{
		{"good", Starts{Train: Schedule{Cron: "0 6 * * *", Zone: "UTC", Within: time.Hour}, OnRelease: ReleaseStart}, ""},
		{"fields", Starts{Train: Schedule{Cron: "0 6 * *", Zone: "UTC"}}, `ring "r": train: cron "0 6 * *": five fields are needed, minute hour day month weekday, like "0 18 * * 5"`},
		{"no such day", Starts{Train: Schedule{Cron: "0 6 30 2 *", Zone: "UTC"}}, `ring "r": train: cron "0 6 30 2 *": there is no such day`},
		{"no zone", Starts{Train: Schedule{Cron: "0 6 * * *"}}, `ring "r": the train's time zone is missing`},
		{"zone alone", Starts{Train: Schedule{Zone: "UTC"}}, `ring "r": a time zone and how late a train may start are of no use without --train`},
		{"too short", Starts{Train: Schedule{Cron: "0 6 * * *", Zone: "UTC", Within: time.Second}}, `ring "r": train within 1s: at least 1m is needed`},
		{"on release", Starts{OnRelease: "go"}, `ring "r": on release "go": one of "wait", "start"`},
	} {
		err := Ring{Name: "r", Starts: test.s}.Validate()
		if got := errorWords(err); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func errorWords(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// What starts by itself counts from when it was said, and again when that is
// changed.
func TestRing_StartsFrom(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	r := Ring{Starts: Starts{Train: Schedule{Cron: "0 6 * * *", Zone: "UTC"}, OnRelease: ReleaseStart}}
	r.StartsFrom(Ring{}, now, 7)
	if !r.Kept.Until.Equal(now) || r.Kept.Release != 7 {
		t.Errorf("a new ring is kept from %+v", r.Kept)
	}
	was := r
	r.Starts.Train.Within = time.Minute
	if r.StartsFrom(was, now.Add(time.Hour), 8); r.Kept != was.Kept {
		t.Errorf("with the same schedule it is kept from %+v", r.Kept)
	}
	r.Starts.Train.Zone = "Europe/Berlin"
	if r.StartsFrom(was, now.Add(time.Hour), 8); !r.Kept.Until.Equal(now.Add(time.Hour)) || r.Kept.Release != 7 {
		t.Errorf("with another schedule it is kept from %+v", r.Kept)
	}
}

func TestApplication_Validate_starts(t *testing.T) {
	train, release := Starts{Train: Schedule{Cron: "0 6 * * *", Zone: "Mars/Base"}}, Starts{OnRelease: ReleaseStart}
	a := &Application{Name: "shop", Rings: []Ring{{Name: "ring-1", Starts: train}, {Name: "ring-2", Starts: release}}}
	want := `application "shop":
  ring "ring-1": train: it is the first ring, and takes from none
  ring "ring-2": on release "start": only the first ring can, and that is "ring-1"`
	if err := a.Validate(); errorWords(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := a.CheckZones(time.LoadLocation); err == nil || !strings.Contains(err.Error(), `ring "ring-1": time zone "Mars/Base": an IANA name is needed`) {
		t.Errorf("zones: %v", err)
	}
}
