package rings

import (
	"testing"
	"time"
)

// TestWall holds times of the wall against a clock that is read minute by
// minute, around every change of the clocks in 2026 and 2027, in every zone.
func TestWall(t *testing.T) {
	seen := map[[3]int64]bool{}
	for name, zone := range everyZone(t) {
		for _, change := range changesOf(zone) {
			before, after := offsetIn(zone, change.Add(-1)), offsetIn(zone, change)
			kind := [3]int64{change.Unix(), int64(before), int64(after)}
			if seen[kind] {
				continue
			}
			seen[kind] = true
			for minutes := -100; minutes <= 100; minutes += 5 {
				wall := change.Add(before + time.Duration(minutes)*time.Minute)
				since, until := readClock(zone, change, wall)
				if got := SinceWall(wall, zone); !got.Equal(since) {
					t.Fatalf("%s: since %s: %s, the clock says %s", name, wall.Format(time.DateTime), got, since)
				}
				if got := UntilWall(wall, zone); !got.Equal(until) {
					t.Fatalf("%s: until %s: %s, the clock says %s", name, wall.Format(time.DateTime), got, until)
				}
			}
		}
	}
	if len(seen) < 50 {
		t.Errorf("%d kinds of changes: where are the others?", len(seen))
	}
}

// readClock finds the first minute that shows wall or more, and the one after the
// last that shows less.
func readClock(zone *time.Location, change, wall time.Time) (since, until time.Time) {
	for at := change.Add(-5 * time.Hour); at.Before(change.Add(5 * time.Hour)); at = at.Add(time.Minute) {
		if at.Add(offsetIn(zone, at)).Before(wall) {
			until = at.Add(time.Minute)
		} else if since.IsZero() {
			since = at
		}
	}
	return since, until
}

func TestWall_Berlin(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ from, to, since, until string }{
		{"2027-03-28T02:10", "2027-03-28T02:50", "2027-03-28T01:00:00Z", "2027-03-28T01:00:00Z"},
		{"2027-03-28T02:30", "2027-03-28T03:15", "2027-03-28T01:00:00Z", "2027-03-28T01:15:00Z"},
		{"2027-03-28T01:30", "2027-03-28T02:15", "2027-03-28T00:30:00Z", "2027-03-28T01:00:00Z"},
		{"2027-10-31T02:15", "2027-10-31T02:45", "2027-10-31T00:15:00Z", "2027-10-31T01:45:00Z"},
		{"2027-06-01T09:00", "2027-06-01T10:00", "2027-06-01T07:00:00Z", "2027-06-01T08:00:00Z"},
	} {
		wall := func(text string) time.Time {
			at, err := time.Parse("2006-01-02T15:04", text)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		since, until := SinceWall(wall(tt.from), zone).Format(time.RFC3339), UntilWall(wall(tt.to), zone).Format(time.RFC3339)
		if since != tt.since || until != tt.until {
			t.Errorf("%s to %s: %s to %s, want %s to %s", tt.from, tt.to, since, until, tt.since, tt.until)
		}
	}
}
