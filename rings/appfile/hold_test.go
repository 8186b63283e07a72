package appfile

import (
	"strings"
	"testing"
	"time"

	"rollout/rings"
)

const heldText = `apiVersion: rollout/v1
kind: Application
name: shop
selector: {app: shop}
rings:
- name: ring-1
- name: ring-2
groups:
- name: all
  rings: [ring-1, ring-2]
services:
- name: web
  repo: https://git.example.com/shop/web.git
  settings:
  - {name: max, field: helm.values.max, type: int, min: 1, max: 20}
  - {name: debug, field: helm.values.debug}
locks:
- {ring: ring-2, holder: ops, reason: stocktaking, until: 2026-12-24T18:00:00Z}
- {service: web, holder: incident-17, reason: INC-17, link: "https://incidents.example.com/17"}
- {clusterGroup: edge, holder: ops, reason: moving}
- {holder: old, reason: over, until: 2026-01-01T00:00:00Z}
windows:
- {name: weekend, kind: deny, cron: 0 18 * * 5, duration: 62h, timeZone: Europe/Berlin, reason: nobody is there}
- {name: fair, kind: deny, ring: ring-2, from: 2026-12-01T00:00:00+01:00, to: 2026-12-08T00:00:00+01:00}
`

var holdNow = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// carriedOut is the state when all changes have been made.
func carriedOut(t *testing.T, f *File, d Difference, s State) State {
	t.Helper()
	a, err := f.Application()
	if err != nil {
		t.Fatal(err)
	}
	s.App = a
	for _, c := range d.Changes {
		switch c.Kind {
		case SetLock:
			s.Locks = append(s.Locks, c.Lock)
		case SetWindow:
			s.Windows = append(s.Windows, c.Window)
		}
	}
	for i := range s.App.Services[0].Settings {
		if o := &s.App.Services[0].Settings[i]; o.Type == "" {
			o.Type = rings.SettingBool // as it was found
		}
	}
	return s
}

// TestCompare_hold: everything is made once, and applying again changes nothing;
// a file that is written of it says the same.
func TestCompare_hold(t *testing.T) {
	f, err := Parse("app.yaml", []byte(heldText))
	if err != nil {
		t.Fatal(err)
	}
	s := State{Now: holdNow}
	d := Compare(s, f)
	var words []string
	for _, c := range d.Changes {
		words = append(words, c.Words...)
	}
	got := strings.Join(words, "\n")
	for _, want := range []string{
		`create ring group "all": ring-1, ring-2`, `settings max=helm.values.max int 1 to 20, debug=helm.values.debug`,
		`add window "weekend": kind deny, cron 0 18 * * 5, duration 62h, timeZone Europe/Berlin, reason nobody is there`,
		`add window "fair": kind deny, ring ring-2, from 2026-11-30T23:00:00Z, to 2026-12-07T23:00:00Z, timeZone UTC`,
		`lock ring-2 for ops: stocktaking`, `lock service web for incident-17: INC-17`, `for ops: moving`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("changes are\n%s\nwant %s", got, want)
		}
	}
	if strings.Contains(got, "over") {
		t.Errorf("a lock that has run out is set: %s", got)
	}
	s = carriedOut(t, f, d, s)
	if again := Compare(s, f); len(again.Changes)+len(again.Extra)+len(again.Fixed) > 0 {
		t.Errorf("again there is %+v", again)
	}
	written := Of(s.App, nil)
	written.Hold(s.Locks, s.Windows, holdNow)
	text, err := written.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	reread, err := Parse("app.yaml", text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if again := Compare(s, reread); len(again.Changes)+len(again.Extra) > 0 {
		t.Errorf("of what was written there is %+v", again)
	}
}

// TestCompare_holdExtra: what was made by hand is named; without the key
// "locks" no lock is pruned.
func TestCompare_holdExtra(t *testing.T) {
	f, err := Parse("app.yaml", []byte(heldText))
	if err != nil {
		t.Fatal(err)
	}
	s := carriedOut(t, f, Compare(State{Now: holdNow}, f), State{Now: holdNow})
	s.App.Groups = append(s.App.Groups, rings.Group{Name: "late", Rings: []rings.RingName{"ring-2"}})
	s.App.Groups[0].Rings = []rings.RingName{"ring-1"}
	s.Windows = append(s.Windows, rings.Window{App: "shop", Name: "mine", Kind: rings.WindowAllow})
	s.Windows[0].Lasts = time.Hour
	s.Locks = append(s.Locks, rings.Lock{App: "shop", Holder: "bob", Reason: "look"})
	s.Locks[0].Reason = "stock"
	s.App.Services[0].Settings = s.App.Services[0].Settings[:1]

	d := Compare(s, f)
	want := []string{`update ring group "all": ring-1 -> ring-1, ring-2`, `service "web": settings max=helm.values.max int 1 to 20 -> max=helm.values.max int 1 to 20, debug=helm.values.debug`,
		`update window "weekend": duration 1h -> 62h`, `lock ring-2 for ops again: reason stock -> stocktaking`}
	for i, c := range d.Changes {
		if i >= len(want) || c.Words[0] != want[i] {
			t.Errorf("change %d is %q", i, c.Words)
		}
	}
	pruned := wordsOf(d.Prune(s))
	if pruned != `release the lock of bob on application shop; remove window "mine"; forget ring group "late"` {
		t.Errorf("pruned: %s", pruned)
	}
	f.Locks = nil
	d = Compare(s, f)
	if pruned = wordsOf(d.Prune(s)); strings.Contains(pruned, "lock") {
		t.Errorf("without locks in the file: %s", pruned)
	}
	n := 0
	for _, e := range d.Extra {
		if e.Kind == "lock" && strings.Contains(e.Keep, `"locks: []"`) && e.Command != "" {
			n++
		}
	}
	if n != 4 {
		t.Errorf("%d locks are named, want 4: %+v", n, d.Extra)
	}
}

func wordsOf(all []Change) string {
	var out []string
	for _, c := range all {
		out = append(out, c.Words...)
	}
	return strings.Join(out, "; ")
}

// TestParse_hold: everything that is wrong with locks, windows, groups and
// settings is said, with the nearest name.
func TestParse_hold(t *testing.T) {
	for text, want := range map[string]string{
		"locks: [{ring: ring-3, holder: a, reason: b}]":                                                "did you mean \"ring-1\"",
		"locks: [{ring: ring-1, cluster: c, holder: a, reason: b}]":                                    "exclude each other",
		"locks: [{holder: a, reason: b}, {holder: a, reason: c}]":                                      "lock of application shop: a has it twice",
		"locks: [{holder: a}]":                                                                         "reason is missing",
		"locks: [{holder: a, reason: b, untl: x}]":                                                     `there is no key "untl" here; did you mean "until"?`,
		"locks: [{holder: a, reason: b, until: tomorrow}]":                                             `"tomorrow" is not a time in full`,
		"windows: [{name: w, kind: deny}]":                                                             `window "w": when is it on?`,
		"windows: [{name: w, kind: denied, cron: 0 1 * * *, duration: 1h}]":                            `"denied" is none of allow deny`,
		"windows: [{name: w, kind: deny, ring: rng-1, cron: 0 1 * * *, duration: 1h}]":                 `ring "rng-1": not found in application "shop"; did you mean "ring-1"?`,
		"groups: [{name: g, rings: [ring-9]}]":                                                         `ring group "g"`,
		"groups: [{name: ring-1, rings: [ring-1]}]":                                                    `ring "ring-1" exists already`,
		"services: [{name: web, repo: r, settings: [{name: a, field: namespace}]}]":                    `setting "a": field "namespace"`,
		"services: [{name: web, repo: r, settings: [{name: a, field: helm.values.a, typ: int}]}]":      `did you mean "type"?`,
		"services: [{name: web, repo: r, settings: [{name: a, field: helm.values.a, type: integer}]}]": `none of int number bool string`,
	} {
		_, err := Parse("app.yaml", []byte("apiVersion: rollout/v1\nkind: Application\nname: shop\nrings: [{name: ring-1}]\n"+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n  got  %v\n  want %s", text, err, want)
		}
	}
}
