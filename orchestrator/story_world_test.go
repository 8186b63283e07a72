package orchestrator_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// world makes the world misbehave:
//
//	push eve db ring-1=v9 [N]       a foreign commit; ring "-": it changes nothing of the service
//	merge db [BRANCH]               a person merges the newest branch of ours, or this one; "squash": as one commit of theirs
//	delete db [BRANCH]              a person deletes it
//	rewrite db                      the branch loses its tip
//	next publish unknown [effect] [WORDS]    how the next action of the kind ends;
//	next survey*3 refused CODE WORDS         effect: it happens, the answer is lost
//	version v2 never|install|deploy|depends  how it does not become ready ("ok": it does)
//	agent c1 dead|alive
//	stuck db c1                     somebody else owns a field there
//	job db breaks WORDS | job db mends
//	target db WORDS                 targeting error of the next bundles ("-": none)
//	gitrepo db paused|gone|deaf     Fleet does not look at it
//	exclude db c1 [WHY]             the GitRepo does not reach the cluster; "exclude db c1 stray": it runs there all the same
//	relabel c1 ring-2|-
//	lie db c1 FIELD=VALUE...        the BundleDeployment shows that ("heard=-5": its agent was heard from so many
//	                                minutes before); "lie db c1": the truth again
//	lose db c1                      its BundleDeployment is gone, and Fleet makes none
//	claim WORDS                     another store holds the claim
//	blind                           new drivers see nothing of Fleet
func (y *story) world(verb string, args []string) error {
	w := y.w
	switch verb {
	case "push":
		return y.push(args)
	case "merge", "squash", "delete":
		return y.forge(verb, rings.ServiceName(args[0]), args[1:])
	case "rewrite":
		w.repos[args[0]].rewrite(w.now)
	case "next":
		return y.next(args)
	case "version":
		w.kinds[rings.Version(args[0])] = strings.TrimSuffix(args[1], "ok")
	case "agent":
		return y.agent(rings.ClusterName(args[0]), args[1])
	case "stuck":
		y.stuck(args)
	case "job":
		w.units[rings.ServiceName(args[0])].broken = strings.Join(args[2:], " ")
	case "target":
		w.units[rings.ServiceName(args[0])].target = strings.Trim(strings.Join(args[1:], " "), "-")
	case "gitrepo":
		return y.gitrepo(w.units[rings.ServiceName(args[0])], args[1])
	case "exclude":
		y.exclude(args)
	case "relabel":
		w.relabel(rings.ClusterName(args[0]), rings.RingName(strings.TrimSuffix(args[1], "-")))
	case "lie":
		return y.lie(w.units[rings.ServiceName(args[0])].bds[rings.ClusterName(args[1])], args[2:])
	case "lose":
		y.lose(w.units[rings.ServiceName(args[0])], rings.ClusterName(args[1]))
	case "blind":
		y.p.facts = func([]orchestrator.Fact) []orchestrator.Fact { return nil }
	case "claim":
		w.claimed = strings.Join(args, " ")
	default:
		return fmt.Errorf("no such command")
	}
	return nil
}

func (y *story) push(args []string) error {
	u := y.w.units[rings.ServiceName(args[1])]
	ring, version, _ := strings.Cut(args[2], "=")
	if ring == "-" {
		u.repo.push(args[0], y.w.now, nil)
		return nil
	}
	key := at{u.name, rings.RingName(ring)}
	e := entry{rings.Version(version), u.repo.tip().files[key].nonce}
	if len(args) > 3 {
		n, err := strconv.ParseInt(args[3], 10, 64)
		if err != nil {
			return err
		}
		e.nonce = n
	}
	u.repo.push(args[0], y.w.now, map[at]entry{key: e})
	return nil
}

func (y *story) next(args []string) error {
	kind, times, repeated := strings.Cut(args[0], "*")
	m := &misbehaviour{kind: orchestrator.ActionKind(kind), times: 1, outcome: orchestrator.Outcome{Result: orchestrator.Result(args[1])}}
	if repeated {
		n, err := strconv.Atoi(times)
		if err != nil {
			return err
		}
		m.times = n
	}
	rest := args[2:]
	if m.outcome.Result == orchestrator.Refused {
		m.outcome.Code, rest = orchestrator.Code(rest[0]), rest[1:]
	}
	if len(rest) > 0 && rest[0] == "effect" {
		m.effect, rest = true, rest[1:]
	}
	m.outcome.Words = strings.Join(rest, " ")
	y.w.script = append(y.w.script, m)
	return nil
}

func (y *story) agent(name rings.ClusterName, how string) error {
	if how == "alive" {
		y.w.revive(name)
		return nil
	}
	y.w.clusters[name].dead = true
	return nil
}

func (y *story) stuck(args []string) {
	b := y.w.units[rings.ServiceName(args[0])].bds[rings.ClusterName(args[1])]
	b.stuck = true
	b.shown.Words = "Deployment shop/" + args[0] + " modified"
}

func (y *story) gitrepo(u *unit, how string) error {
	u.gitrepo.Paused, u.gitrepo.Gone = how == "paused", how == "gone"
	delete(y.w.deaf, u.name)
	if how == "deaf" {
		y.w.deaf[u.name] = "dial tcp: connection refused"
	}
	return nil
}

func (y *story) exclude(args []string) {
	u, name := y.w.units[rings.ServiceName(args[0])], rings.ClusterName(args[1])
	u.excluded[name] = "not targeted by GitRepo " + args[0]
	if len(args) < 3 {
		delete(u.bds, name)
	}
}

func (y *story) lose(u *unit, name rings.ClusterName) {
	delete(u.bds, name)
	u.lost = name
}

func (y *story) lie(b *bd, fields []string) error {
	if len(fields) == 0 {
		b.lie = nil
		return nil
	}
	for _, f := range fields {
		if !lies[strings.SplitN(f, "=", 2)[0]] {
			return fmt.Errorf("no field %q", f)
		}
	}
	b.lie = func(d *orchestrator.Deployment) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, "=")
			n, _ := strconv.ParseInt(value, 10, 64)
			setField(d, name, value, n, value == "true")
		}
	}
	return nil
}

// lies are the fields that setField knows.
var lies = map[string]bool{"commit": true, "spec": true, "status": true, "staged": true, "applied": true, "ready": true, "nonModified": true,
	"install": true, "deploy": true, "paused": true, "offSchedule": true, "deleting": true, "words": true, "awaitsValues": true, "heard": true}

func setField(d *orchestrator.Deployment, name, value string, n int64, on bool) {
	switch name {
	case "commit":
		d.Commit = value
	case "spec":
		d.SpecNonce = n
	case "status":
		d.StatusNonce = n
	case "staged":
		d.Staged = on
	case "applied":
		d.Applied = on
	case "ready":
		d.Ready = on
	case "nonModified":
		d.NonModified = on
	case "install":
		d.InstallError = value
	case "deploy":
		d.DeployError = value
	case "paused":
		d.Paused = on
	case "offSchedule":
		d.OffSchedule = on
	case "awaitsValues":
		d.AwaitsValues = on
	case "deleting":
		d.Deleting = on
	case "heard":
		d.Heard = d.Heard.Add(time.Duration(n) * time.Minute)
	case "words":
		d.Words = value
	}
}
