package orchestrator_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
)

var update = flag.Bool("update", false, "rewrite the golden files; commit a diff only if you understand every line of it")

// TestStep_stories plays every testdata/stories/NAME.txt and compares the
// transcript with NAME.golden. A story is a list of commands, one a line,
// [story.do] has them all; '#' begins a comment, which says what is shown. A
// transcript is
//
//	# a comment of the story
//	> a command of the story
//	SECONDS   an event
//	          another event of the same step
//	          = what Explain says after the step
//
// Facts that change nothing are not steps and are not shown; those that a new
// driver begins with are counted.
func TestStep_stories(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".txt")+".golden", tell(t, string(text)))
		})
	}
}

// golden compares got with the file, or rewrites it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// story is one under way.
type story struct {
	t   *testing.T
	out strings.Builder
	app *rings.Application
	w   *world
	p   *player // nil until begin

	request orchestrator.Request
	// barriers are the locks and closures that were told last.
	barriers rings.Barriers

	entries map[rings.ServiceName]map[rings.RingName]entry
}

func tell(t *testing.T, text string) string {
	t.Helper()
	y := &story{t: t, app: &rings.Application{Name: "shop", Workspace: "fleet-default", RingLabel: "ring",
		Rings: []rings.Ring{{Name: "ring-1"}, {Name: "ring-2"}}, Plan: rings.Plan{}}, w: newWorld(), request: orchestrator.Request{Rings: []rings.RingName{"ring-1"}},
		entries: map[rings.ServiceName]map[rings.RingName]entry{}}
	for n, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if strings.HasPrefix(line, "#") || line == "" {
			fmt.Fprintln(&y.out, line)
			continue
		}
		fmt.Fprintln(&y.out, ">", line)
		words := strings.Fields(line)
		if err := y.do(words[0], words[1:]); err != nil {
			t.Fatalf("line %d: %s: %v", n+1, line, err)
		}
	}
	y.end()
	return y.out.String()
}

// do carries out a command. Before begin:
//
//	services db api<-db docs@web   services, what they need (<-A,B), the repository that they share (@REPO)
//	clusters c1 c2                 of ring-1
//	file db v3 [N] [RING]          the file says so at the start (default v1, nonce 1 for ring-1, 2 for ring-2)
//	known db v1                    what this store recorded last (default: what the file says; "-": nothing)
//	managed db                     its GitRepo is ours
//	proposes db 10m                its branch is protected: a person merges, until the deadline (default: 24h)
//	plan db=v2 api=v2              (default: v2 for all)
//	deadline 10m, uptake 2m        of ring-1
//	redeploy, override, tag NAME   options of the rollout
//	on ring-2 c3 c4                clusters of another ring
//	policy ring-1 soak=10m before  see [story.policy]
//	rollout ring-1 ring-2          rings of the rollout (default: ring-1); "through ring-2": those before it, too
//	verified db ring-1             what the file says there was verified
//	empty ring-1                   it was known to have no clusters
//	begin [blind]                  the rollout is created; a driver takes it up (and sees nothing of Fleet)
//
// All else is in [story.play] and [story.world].
func (y *story) do(verb string, args []string) error {
	switch verb {
	case "services":
		return y.services(args)
	case "clusters":
		for _, c := range args {
			y.w.clusters[rings.ClusterName(c)] = &cluster{ring: "ring-1"}
		}
	case "file":
		return y.file(args)
	case "known":
		s, err := y.app.Service(rings.ServiceName(args[0]))
		if err != nil {
			return err
		}
		s.Known = map[rings.RingName]rings.Known{"ring-1": {Version: rings.Version(strings.Trim(args[1], "-"))}}
	case "proposes":
		return y.proposes(args)
	case "managed":
		s, err := y.app.Service(rings.ServiceName(args[0]))
		if err != nil {
			return err
		}
		s.Managed = true
	case "plan":
		for _, a := range args {
			name, version, _ := strings.Cut(a, "=")
			y.app.Plan[rings.ServiceName(name)] = rings.PlanEntry{Version: rings.Version(version)}
		}
	case "deadline", "uptake":
		return y.deadline(verb, args[0])
	case "redeploy":
		y.request.Options.Redeploy = true
	case "tag":
		y.request.Options.Tag = args[0]
	case "override":
		y.request.Options.Override, y.request.Options.Reason = true, "I know"
	case "on", "policy", "rollout", "through", "verified", "empty":
		return y.rings(verb, args)
	case "begin":
		return y.begin(len(args) > 0)
	default:
		if done, err := y.play(verb, args); done || err != nil {
			return err
		}
		return y.world(verb, args)
	}
	return nil
}

func (y *story) services(args []string) error {
	for _, a := range args {
		a, needs, _ := strings.Cut(a, "<-")
		name, url, shared := strings.Cut(a, "@")
		if !shared {
			url = name
		}
		s := rings.Service{Name: rings.ServiceName(name), Repo: url, Branch: "main", Path: name, GitRepo: name}
		for _, n := range strings.FieldsFunc(needs, func(r rune) bool { return r == ',' }) {
			s.DependsOn = append(s.DependsOn, rings.ServiceName(n))
		}
		y.app.Services = append(y.app.Services, s)
		y.entries[s.Name] = map[rings.RingName]entry{"ring-1": {"v1", 1}, "ring-2": {"v1", 2}}
	}
	return nil
}

func (y *story) file(args []string) error {
	e, ring := entry{version: rings.Version(args[1])}, rings.RingName("ring-1")
	if len(args) > 2 {
		n, err := strconv.ParseInt(args[2], 10, 64)
		if err != nil {
			return err
		}
		e.nonce = n
	}
	if len(args) > 3 {
		ring = rings.RingName(args[3])
	}
	y.entries[rings.ServiceName(args[0])][ring] = e
	return nil
}

func (y *story) deadline(verb, arg string) error {
	d, err := time.ParseDuration(arg)
	if verb == "uptake" {
		y.app.Rings[0].Policy.Uptake = d
	} else {
		y.app.Rings[0].Policy.Converge = d
	}
	return err
}

func (y *story) begin(blind bool) error {
	planned := len(y.app.Plan) > 0
	for i := range y.app.Services {
		s := &y.app.Services[i]
		if s.Known == nil {
			s.Known = map[rings.RingName]rings.Known{"ring-1": {Version: y.entries[s.Name]["ring-1"].version}}
		}
		if !planned {
			y.app.Plan[s.Name] = rings.PlanEntry{Version: "v2"}
		}
		y.w.addService(s.Name, s.Repo, y.entries[s.Name])
	}
	y.w.settle(24 * time.Hour)
	created, err := orchestrator.New(y.app, y.request)
	if err != nil {
		return err
	}
	y.p = newPlayer(y.t, y.w, created)
	y.p.told = y.show
	if blind {
		y.p.facts = func([]orchestrator.Fact) []orchestrator.Fact { return nil }
	}
	y.p.turn()
	return nil
}

// show writes a step.
func (y *story) show(d orchestrator.Decision) {
	when, facts := since(y.w.now), 0
	first := slices.ContainsFunc(d.Events, func(e orchestrator.Event) bool {
		o, saw := e.Body.(orchestrator.Observed)
		return saw && o.Synced
	})
	for _, e := range d.Events {
		if _, saw := e.Body.(orchestrator.Observed); saw && first {
			facts++
			continue
		}
		fmt.Fprintf(&y.out, "%-9s %s\n", when, describe(e))
		when = ""
	}
	if facts > 0 {
		fmt.Fprintf(&y.out, "%-9s saw all there is, %d facts\n", "", facts)
	}
	fmt.Fprintf(&y.out, "%-9s = %s\n", "", y.p.s.Explain(y.w.now))
}

// play is about time and the driver:
//
//	run               until the rollout has ended (two hours at most)
//	run 30s           so long
//	run until TEXT    until Explain holds the text
//	run until step db Converging
//	restart           the driver dies, another takes up
//	restart after 1h  nobody drives for so long
//	cancel [REASON]   a person's command; the others are in [story.person]
//	slow survey 5s    answers of the kind take so long ("0s": no longer)
func (y *story) play(verb string, args []string) (bool, error) {
	switch verb {
	case "run":
		return true, y.run(args)
	case "restart":
		if len(args) == 2 {
			d, err := time.ParseDuration(args[1])
			if err != nil {
				return true, err
			}
			y.w.elapse(y.w.now.Add(d))
		}
		y.p.restart()
		y.p.turn()
	case "slow":
		return true, y.slow(orchestrator.ActionKind(args[0]), args[1])
	case "pause", "resume", "approve", "skip", "halt", "unhalt", "lock", "unlock", "close", "freeze", "thaw", "jump":
		y.person(verb, args)
		y.p.turn()
	case "cancel":
		y.p.commands = append(y.p.commands, orchestrator.Command{Seq: 1, Kind: orchestrator.CommandCancel, By: "bob", Reason: strings.Join(args, " "), At: y.w.now})
		y.p.turn()
	default:
		return false, nil
	}
	return true, nil
}

func (y *story) slow(kind orchestrator.ActionKind, arg string) error {
	d, err := time.ParseDuration(arg)
	usual := y.p.delays
	y.p.delays = func(a orchestrator.Action) (time.Duration, time.Duration) {
		act, answer := usual(a)
		if a.Kind == kind {
			answer = d
		}
		return act, answer
	}
	return err
}

func (y *story) run(args []string) error {
	if len(args) == 1 {
		d, err := time.ParseDuration(args[0])
		y.p.play(y.w.now.Add(d), func() bool { return false })
		return err
	}
	stop, reached := y.p.ended, y.p.ended
	if len(args) > 1 {
		text := strings.Join(args[1:], " ")
		reached = func() bool { return strings.Contains(y.p.s.Explain(y.w.now), text) }
		if args[1] == "step" {
			reached = func() bool { return y.stepIs(args[2], args[3]) }
		}
		stop = func() bool { return reached() || y.p.ended() }
	}
	y.p.play(y.w.now.Add(2*time.Hour), stop)
	if !reached() {
		return fmt.Errorf("not reached: %s", y.p.s.Explain(y.w.now))
	}
	return nil
}

func (y *story) stepIs(service, phase string) bool {
	return slices.ContainsFunc(y.p.s.Steps, func(st *orchestrator.StepState) bool {
		return string(st.Target.Service) == service && string(st.Phase) == phase
	})
}

// end adds what git and the clusters say at the end.
func (y *story) end() {
	fmt.Fprintln(&y.out)
	for _, url := range sortedKeys(y.w.repos) {
		fmt.Fprintf(&y.out, "git %s: %s\n", url, y.w.repos[url])
	}
	for _, name := range sortedKeys(y.w.clusters) {
		fmt.Fprintf(&y.out, "%s runs", name)
		for _, u := range y.w.sorted() {
			if b := u.bds[name]; b != nil {
				fmt.Fprintf(&y.out, " %s=%s", u.name, b.runs.version)
			}
		}
		fmt.Fprintln(&y.out)
	}
}
