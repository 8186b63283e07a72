package rings_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
)

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC()
}

func TestWindow_On(t *testing.T) {
	night := rings.Window{Name: "night", Kind: rings.WindowDeny, Cron: "0 22 * * *", Lasts: 8 * time.Hour, Zone: "Europe/Berlin"}
	skipped := rings.Window{Name: "skipped", Kind: rings.WindowDeny, Cron: "15 2 * * *", Lasts: 30 * time.Minute, Zone: "Europe/Berlin"}
	weekend := rings.Window{Name: "weekend", Kind: rings.WindowDeny, Cron: "0 0 * * 6,0", Lasts: 24 * time.Hour, Zone: "Europe/Berlin"}
	year := rings.Window{Name: "year", Kind: rings.WindowDeny, From: instant(t, "2026-12-20T17:00:00Z"), To: instant(t, "2027-01-07T07:00:00Z"), Zone: "Europe/Berlin"}
	for _, tt := range []struct {
		name             string
		window           rings.Window
		at, since, until string
		on               bool
	}{
		{"an ordinary night", night, "2026-06-10T23:00:00Z", "2026-06-10T20:00:00Z", "2026-06-11T04:00:00Z", true},
		{"it starts on the minute", night, "2026-06-10T20:00:00Z", "2026-06-10T20:00:00Z", "2026-06-11T04:00:00Z", true},
		{"it ends on the minute", night, "2026-06-11T04:00:00Z", "2026-06-11T04:00:00Z", "2026-06-11T20:00:00Z", false},
		{"a night of seven hours", night, "2026-03-29T00:30:00Z", "2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z", true},
		{"a night of nine hours", night, "2026-10-25T00:30:00Z", "2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z", true},
		{"an hour that is skipped", skipped, "2026-03-29T01:00:00Z", "2026-03-28T01:45:00Z", "2026-03-30T00:15:00Z", false},
		{"an hour that comes twice, the first", skipped, "2026-10-25T00:20:00Z", "2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z", true},
		{"and the second", skipped, "2026-10-25T01:20:00Z", "2026-10-25T01:15:00Z", "2026-10-25T01:45:00Z", true},
		{"two days of a night less", weekend, "2027-03-28T12:00:00Z", "2027-03-26T23:00:00Z", "2027-03-28T22:00:00Z", true},
		{"the week between", weekend, "2027-03-29T12:00:00Z", "2027-03-28T22:00:00Z", "2027-04-02T22:00:00Z", false},
		{"before a span", year, "2026-12-01T00:00:00Z", "", "2026-12-20T17:00:00Z", false},
		{"in a span", year, "2026-12-24T00:00:00Z", "2026-12-20T17:00:00Z", "2027-01-07T07:00:00Z", true},
		{"after a span", year, "2027-02-01T00:00:00Z", "2027-01-07T07:00:00Z", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			on, since, until, err := tt.window.On(instant(t, tt.at), time.LoadLocation)
			if err != nil {
				t.Fatal(err)
			}
			if on != tt.on || !since.Equal(instant(t, tt.since)) || !until.Equal(instant(t, tt.until)) {
				t.Errorf("on %t since %s until %s, want %t since %s until %s", on, since, until, tt.on, tt.since, tt.until)
			}
		})
	}
}

func TestWindow_Validate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		window rings.Window
		faults []string
	}{
		{"all is well", rings.Window{Name: "a", Kind: rings.WindowAllow, Cron: "0 9 * * 1-5", Lasts: 8 * time.Hour, Zone: "UTC"}, nil},
		{"a span without an end", rings.Window{Name: "a", Kind: rings.WindowDeny, From: instant(t, "2026-12-20T17:00:00Z"), Zone: "UTC"}, nil},
		{"nothing is said", rings.Window{}, []string{
			`window "": the name is empty`, `kind: one of "allow", "deny"`, `time zone "": an IANA name is needed, like Europe/Berlin or UTC`,
			"when is it on? cron with a duration, or from and to, is needed"}},
		{"all is wrong", rings.Window{Name: "A", Kind: "maybe", Cron: "61 * * * *", Lasts: time.Second, From: instant(t, "2026-12-20T17:00:00Z"), Zone: "Mars/Base"}, []string{
			`window "A": a name has only a-z, 0-9 and '-', and begins and ends with a letter or digit`, `kind "maybe": one of "", "allow", "deny"`,
			`time zone "Mars/Base": an IANA name is needed, like Europe/Berlin or UTC`, "cron, and from and to, exclude each other", "duration 1s: at least 1m is needed"}},
		{"seconds", rings.Window{Name: "a", Kind: rings.WindowDeny, Cron: "0 0 9 * * 1", Lasts: time.Hour, Zone: "UTC"}, []string{
			`cron "0 0 9 * * 1": five fields are needed, minute hour day month weekday, like "0 18 * * 5"`}},
		{"no such day", rings.Window{Name: "a", Kind: rings.WindowDeny, Cron: "0 9 30 2 *", Lasts: time.Hour, Zone: "UTC"}, []string{`cron "0 9 30 2 *": there is no such day`}},
		{"never off", rings.Window{Name: "a", Kind: rings.WindowDeny, Cron: "0 9 * * *", Lasts: 24 * time.Hour, Zone: "UTC"}, []string{
			"it lasts 24h0m0s and starts again after 24h0m0s: it would never be off in between; use a longer cron, or a lock"}},
		{"days that follow each other", rings.Window{Name: "a", Kind: rings.WindowDeny, Cron: "0 0 * * 6,0", Lasts: 24 * time.Hour, Zone: "UTC"}, nil},
		{"never on", rings.Window{Name: "a", Kind: rings.WindowDeny, From: instant(t, "2026-12-20T17:00:00Z"), To: instant(t, "2026-12-20T17:00:00Z"), Zone: "UTC"}, []string{
			"it would begin and end at 2026-12-20T17:00:00Z: it would never be on"}},
		{"ends before it begins", rings.Window{Name: "a", Kind: rings.WindowDeny, From: instant(t, "2026-12-20T17:00:00Z"), To: instant(t, "2026-12-19T17:00:00Z"), Zone: "UTC"}, []string{
			"it would end at 2026-12-19T17:00:00Z, before it begins at 2026-12-20T17:00:00Z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var faults []string
			if e, ok := errors.AsType[*rings.InvalidError](tt.window.Validate(time.LoadLocation)); ok {
				faults = e.Faults
			}
			for i, f := range faults {
				if len(f) > 16 && f[:16] == `cron "61 * * * *` { // the library's words
					faults = append(faults[:i], faults[i+1:]...)
					break
				}
			}
			if diff := cmp.Diff(tt.faults, faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClosures(t *testing.T) {
	office := rings.Window{Name: "office", Kind: rings.WindowAllow, Cron: "0 9 * * 1-5", Lasts: 8 * time.Hour, Zone: "UTC"}
	tuesday := rings.Window{Name: "tuesday", Ring: "ring-2", Kind: rings.WindowAllow, Cron: "0 10 * * 2", Lasts: 2 * time.Hour, Zone: "UTC"}
	thursday := rings.Window{Name: "thursday", Ring: "ring-2", Kind: rings.WindowAllow, Cron: "0 16 * * 4", Lasts: 4 * time.Hour, Zone: "UTC"}
	lunch := rings.Window{Name: "lunch", Kind: rings.WindowDeny, Cron: "0 11 * * *", Lasts: 2 * time.Hour, Zone: "UTC"}
	sunday := rings.Window{Name: "sunday", Ring: "ring-3", Kind: rings.WindowAllow, Cron: "0 9 * * 0", Lasts: time.Hour, Zone: "UTC"}
	past := rings.Window{Name: "past", Kind: rings.WindowDeny, To: instant(t, "2026-01-01T00:00:00Z"), Zone: "UTC"}
	type is struct{ Window, From, Until, Opens string }
	text := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return at.UTC().Format("Mon 15:04")
	}
	for _, tt := range []struct {
		name    string
		windows []rings.Window
		ring    rings.RingName
		at      string // in June 2026, which begins on a Monday
		want    []is
	}{
		{"nothing closes it", nil, "ring-1", "2026-06-01T10:00:00Z", nil},
		{"what is past closes nothing", []rings.Window{past}, "ring-1", "2026-06-01T10:00:00Z", nil},
		{"open, and closed next", []rings.Window{office}, "ring-1", "2026-06-01T10:00:00Z", []is{{"office", "Mon 17:00", "Tue 09:00", "Tue 09:00"}}},
		{"over a weekend", []rings.Window{office}, "ring-1", "2026-06-06T10:00:00Z", []is{{"office", "Fri 17:00", "Mon 09:00", "Mon 09:00"}}},
		{"of another ring", []rings.Window{tuesday}, "ring-1", "2026-06-01T10:00:00Z", nil},
		{"any of a scope allows", []rings.Window{tuesday, thursday}, "ring-2", "2026-06-02T13:00:00Z", []is{{"tuesday thursday", "Tue 12:00", "Thu 16:00", "Thu 16:00"}}},
		{"every scope must allow", []rings.Window{office, thursday}, "ring-2", "2026-06-04T17:30:00Z", []is{
			{"office", "Thu 17:00", "Fri 09:00", "Thu 16:00"}, {"thursday", "Thu 20:00", "Thu 16:00", "Thu 16:00"}}},
		{"what is denied is not allowed", []rings.Window{office, lunch}, "ring-1", "2026-06-01T08:00:00Z", []is{
			{"lunch", "Mon 11:00", "Mon 13:00", "Mon 13:00"}, {"office", "Fri 17:00", "Mon 09:00", "Mon 09:00"}}},
		{"it never opens", []rings.Window{office, sunday}, "ring-3", "2026-06-01T10:00:00Z", []is{
			{"office", "Mon 17:00", "Tue 09:00", ""}, {"sunday", "Sun 10:00", "Sun 09:00", ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			closures, err := rings.Closures(tt.windows, []rings.RingName{tt.ring}, instant(t, tt.at), time.LoadLocation)
			if err != nil {
				t.Fatal(err)
			}
			var got []is
			for _, c := range closures {
				var names string
				for _, w := range c.Windows {
					names += " " + string(w)
				}
				got = append(got, is{names[1:], text(c.From), text(c.Until), text(c.Opens)})
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("closures (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := rings.Closures([]rings.Window{{Name: "x", Kind: rings.WindowDeny, Zone: "Mars/Base"}}, []rings.RingName{"ring-1"}, instant(t, "2026-06-01T10:00:00Z"), time.LoadLocation); err == nil {
		t.Error("a zone that is not there is no error")
	}
}

// What is found at a time is found again at every later one, until it is over.
func TestClosures_stay(t *testing.T) {
	windows := []rings.Window{
		{Name: "office", Kind: rings.WindowAllow, Cron: "0 9 * * 1-5", Lasts: 8 * time.Hour, Zone: "Europe/Berlin"},
		{Name: "lunch", Ring: "ring-1", Kind: rings.WindowDeny, Cron: "0 11 * * *", Lasts: 2 * time.Hour, Zone: "America/New_York"},
	}
	names := []rings.RingName{"ring-1", "ring-2"}
	at := instant(t, "2026-10-20T00:07:00Z")
	was, err := rings.Closures(windows, names, at, time.LoadLocation)
	if err != nil {
		t.Fatal(err)
	}
	for range 800 {
		at = at.Add(20 * time.Minute)
		is, err := rings.Closures(windows, names, at, time.LoadLocation)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range (rings.Barriers{Closed: was}).Left(at).Closed {
			found := false
			for _, o := range is {
				found = found || o.Same(c) && o.From.Equal(c.From) && o.Opens.Equal(c.Opens)
			}
			if !found {
				t.Fatalf("at %s: %+v is gone; there are %+v", at, c, is)
			}
		}
		was = is
	}
}

func TestLock(t *testing.T) {
	at := instant(t, "2026-06-01T10:00:00Z")
	whole := rings.Lock{App: "shop", Holder: "ann", Reason: "a fair", At: at}
	ring, service, cluster := whole, whole, whole
	ring.Ring, service.Service, cluster.Cluster = "ring-1", "web", "eu-1"
	both := ring
	both.Service = "web"
	for _, tt := range []struct {
		lock     rings.Lock
		part     string
		ring     rings.RingName
		service  rings.ServiceName
		clusters []rings.ClusterName
		want     bool
	}{
		{whole, "application shop", "ring-1", "", nil, true},
		{ring, "ring-1", "ring-1", "", nil, true},
		{ring, "ring-1", "ring-2", "", nil, false},
		{ring, "ring-1", "ring-1", "web", nil, true},
		{service, "service web", "ring-1", "", nil, false},
		{service, "service web", "ring-1", "web", nil, true},
		{service, "service web", "ring-1", "db", nil, false},
		{both, "service web on ring-1", "ring-1", "web", nil, true},
		{both, "service web on ring-1", "ring-2", "web", nil, false},
		{cluster, "cluster eu-1", "ring-1", "", nil, false},
		{cluster, "cluster eu-1", "ring-1", "web", []rings.ClusterName{"eu-1", "eu-2"}, true},
		{cluster, "cluster eu-1", "ring-1", "web", []rings.ClusterName{"eu-2"}, false},
	} {
		if got := tt.lock.Covers(tt.ring, tt.service, tt.clusters); got != tt.want || tt.lock.Part() != tt.part {
			t.Errorf("%s covers %s %s %v: %t, want %t", tt.lock.Part(), tt.ring, tt.service, tt.clusters, got, tt.want)
		}
	}
	wrong := rings.Lock{App: "shop", Ring: "ring-1", Cluster: "eu-1", At: at, Until: at}
	want := []string{`ring "ring-1" and cluster "eu-1" exclude each other: a locked cluster holds every ring that it is on`,
		"the holder is missing", "the reason is missing", "it ends at 2026-06-01T10:00:00Z, which is over"}
	if e, ok := errors.AsType[*rings.InvalidError](wrong.Validate()); !ok || cmp.Diff(want, e.Faults) != "" {
		t.Errorf("faults: %v", wrong.Validate())
	}
}

func TestBarriers(t *testing.T) {
	at := instant(t, "2026-06-01T10:00:00Z")
	lock := rings.Lock{App: "shop", Ring: "ring-1", Holder: "ann", At: at, Until: at.Add(time.Hour)}
	closed := rings.Closure{Ring: "ring-1", Kind: rings.WindowDeny, Windows: []rings.WindowName{"lunch"}, From: at.Add(time.Hour), Until: at.Add(2 * time.Hour)}
	all := rings.Barriers{Locks: []rings.Lock{lock}, Closed: []rings.Closure{closed}}
	count := func(b rings.Barriers) int { return len(b.Locks)*10 + len(b.Closed) }
	for _, tt := range []struct {
		name string
		got  rings.Barriers
		want int
	}{
		{"both are left", all.Left(at), 11},
		{"a closure that comes does not stand", all.At(at), 10},
		{"a lock that ran out does not stand", all.At(at.Add(time.Hour)), 1},
		{"nothing is left", all.Left(at.Add(2 * time.Hour)), 0},
		{"another ring", all.On("ring-2", "", nil), 0},
		{"gone over", all.Without(all), 0},
		{"a lock set anew is not gone over", rings.Barriers{Locks: []rings.Lock{{App: "shop", Ring: "ring-1", Holder: "ann", At: at.Add(1)}}}.Without(all), 10},
		{"nor is the next closure", rings.Barriers{Closed: []rings.Closure{{Ring: "ring-1", Kind: rings.WindowDeny, Windows: closed.Windows, Until: at.Add(26 * time.Hour)}}}.Without(all), 1},
	} {
		if count(tt.got) != tt.want || tt.got.Empty() != (tt.want == 0) {
			t.Errorf("%s: %+v", tt.name, tt.got)
		}
	}
	if !all.Equal(all.Left(at)) || all.Equal(all.At(at)) {
		t.Error("Equal does not tell them apart")
	}
}

// What is shown on many terminals has nothing that one of them obeys.
func TestValidate_control(t *testing.T) {
	for _, err := range []error{
		rings.Lock{App: "shop", Holder: "ann", Reason: "a\x1b[2J", At: instant(t, "2026-12-20T17:00:00Z")}.Validate(),
		rings.Lock{App: "shop", Holder: "a\nnn", Reason: "a", At: instant(t, "2026-12-20T17:00:00Z")}.Validate(),
		rings.Window{Name: "w", Kind: rings.WindowDeny, From: instant(t, "2026-12-20T17:00:00Z"), Zone: "UTC", Reason: "a\a"}.Validate(time.LoadLocation),
	} {
		if e, ok := errors.AsType[*rings.InvalidError](err); !ok || len(e.Faults) != 1 || !strings.Contains(e.Faults[0], "control character") {
			t.Errorf("got %v", err)
		}
	}
}
