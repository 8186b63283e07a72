package orchestrator_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// rings describes the rings of a story, before it begins; see [story.do].
func (y *story) rings(verb string, args []string) error {
	names := make([]rings.RingName, len(args))
	for i, a := range args {
		names[i] = rings.RingName(a)
	}
	switch verb {
	case "on":
		y.ring(names[0])
		for _, c := range args[1:] {
			y.w.clusters[rings.ClusterName(c)] = &cluster{ring: names[0]}
		}
	case "rollout":
		for _, name := range names {
			y.ring(name)
		}
		y.request.Rings = names
	case "through":
		y.request.Rings, y.request.Through = names, true
	case "empty":
		y.request.Empty = names
	case "verified":
		s, err := y.app.Service(rings.ServiceName(args[0]))
		if err != nil {
			return err
		}
		if s.Known == nil {
			s.Known = map[rings.RingName]rings.Known{}
		}
		s.Known[names[1]] = rings.Known{Version: y.entries[s.Name][names[1]].version, Verified: "shop-0"}
	case "policy":
		return y.policy(&y.ring(names[0]).Policy, args[1:])
	}
	return nil
}

// ring returns the application's ring, made when it is new.
func (y *story) ring(name rings.RingName) *rings.Ring {
	if _, err := y.app.Ring(name); err != nil {
		y.app.Rings = append(y.app.Rings, rings.Ring{Name: name})
	}
	r, err := y.app.Ring(name)
	if err != nil {
		y.t.Fatal(err)
	}
	for i, s := range y.app.Services {
		if _, ok := y.entries[s.Name][name]; !ok {
			y.entries[s.Name][name] = entry{"v1", int64(10*len(y.app.Rings) + i)}
		}
	}
	return r
}

// policy sets what is named: before, after, expires=1h, soak=10m, failed=1,
// failed=50%, offline=skip/1, onfailure=rollback, join=later, and
// check=NAME/INTERVAL/SAMPLES/LIMIT.
func (y *story) policy(p *rings.Policy, args []string) error {
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		var err error
		switch name {
		case "before":
			p.ApproveBefore = true
		case "after":
			p.ApproveAfter = true
		case "expires":
			p.ApprovalExpires, err = time.ParseDuration(value)
		case "soak":
			p.Soak, err = time.ParseDuration(value)
		case "deadline":
			p.Converge, err = time.ParseDuration(value)
		case "failed":
			p.MaxFailed, err = rings.ParseAmount(value)
		case "offline":
			how, most, _ := strings.Cut(value, "/")
			p.OnOffline = rings.OnOffline(how)
			p.MaxOffline, err = rings.ParseAmount(most)
		case "onfailure":
			p.OnFailure = rings.OnFailure(value)
		case "join":
			p.OnJoin = rings.OnJoin(value)
		case "check":
			err = y.check(p, strings.Split(value, "/"))
		default:
			err = fmt.Errorf("no policy %q", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (y *story) check(p *rings.Policy, parts []string) error {
	c := rings.Check{Name: parts[0], Kind: rings.CheckCommand, Command: "true"}
	every, err := time.ParseDuration(parts[1])
	if err != nil {
		return err
	}
	c.Interval = every
	if c.Samples, err = strconv.Atoi(parts[2]); err != nil {
		return err
	}
	c.FailureLimit, err = strconv.Atoi(parts[3])
	p.Checks = append(p.Checks, c)
	return err
}

// bar sets locks, windows and freezes; what was set before stays until it is over.
func (y *story) bar(verb string, args []string) {
	if verb == "unlock" {
		y.barriers.Locks = nil
	}
	if verb == "thaw" {
		y.barriers.Frozen = nil
	}
	if verb == "freeze" {
		y.barriers.Frozen = append(y.barriers.Frozen, rings.Freeze{Ring: rings.RingName(args[0]), By: rings.RingName(args[1]), Rollout: args[2], Since: y.w.now})
	}
	if verb == "lock" {
		l := rings.Lock{App: "shop", Ring: rings.RingName(word(args[0])), Service: rings.ServiceName(word(args[1])), Cluster: rings.ClusterName(word(args[2])),
			Holder: "bob", By: "bob", Reason: "stocktaking", At: y.w.now}
		if len(args) > 3 {
			l.Until = y.w.now.Add(y.duration(args[3]))
		}
		y.barriers.Locks = append(y.barriers.Locks, l)
	}
	if verb == "close" {
		from := y.w.now.Add(y.duration(args[1]))
		until := from.Add(y.duration(args[2]))
		y.barriers.Closed = append(y.barriers.Closed, rings.Closure{Ring: rings.RingName(args[0]), Kind: rings.WindowDeny, Windows: []rings.WindowName{"night"},
			From: from, Until: until, Opens: until, Words: `closed by the window "night"`})
	}
	told := y.barriers
	y.p.barriers = &told
}

// word is an argument, where "-" stands for none.
func word(arg string) string {
	if arg == "-" {
		return ""
	}
	return arg
}

func (y *story) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		y.t.Fatal(err)
	}
	return d
}

// person is what people do while the rollout runs:
//
//	pause|resume|approve [REASON]   approve: the gate that waits now
//	approve stale                   what was approved is not what waits
//	skip ring ring-2 | skip service db [ring-2] | skip cluster c1
//	halt [30m] | unhalt
//	lock ring-1|-  db|-  c1|-  [30m]   a part of the application; - for all
//	unlock                          all locks
//	close ring-1 10m 30m            a window closes the ring in 10m, for 30m
//	freeze ring-1 ring-2 shop-9     ring-2 freezes ring-1, where shop-9 is judged
//	thaw                            nothing is frozen
//	jump                            the wall clock jumps
func (y *story) person(verb string, args []string) {
	c := orchestrator.Command{Seq: 1, Kind: orchestrator.CommandKind(verb), By: "bob", Reason: strings.Join(args, " "), At: y.w.now}
	switch verb {
	case "jump":
		y.p.jumped = true
		return
	case "unhalt":
		y.p.barriers = &rings.Barriers{}
		return
	case "lock", "unlock", "close", "freeze", "thaw":
		y.bar(verb, args)
		return
	case "halt":
		h := &rings.Halt{By: "bob", Reason: "the network is being mended", At: y.w.now}
		if d, err := time.ParseDuration(strings.Join(args, "")); err == nil {
			h.Until = y.w.now.Add(d)
		}
		y.p.barriers = &rings.Barriers{Halt: h}
		return
	case "approve":
		c.Ring, c.Gate, _ = y.p.s.Awaiting()
		if c.Content = y.p.s.Content(c.Ring); len(args) > 0 && args[0] == "stale" {
			c.Content = "other"
		}
	case "skip":
		c.Reason = "not needed"
		switch args[0] {
		case "ring":
			c.Ring = rings.RingName(args[1])
		case "cluster":
			c.Cluster = rings.ClusterName(args[1])
		case "service":
			c.Service, c.Ring = rings.ServiceName(args[1]), rings.RingName(strings.Join(args[2:], ""))
		}
	}
	y.p.commands = append(y.p.commands, c)
}
