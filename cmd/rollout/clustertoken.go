package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"rollout/fleet"
	"rollout/rings"
)

// tokenTTL is how long a registration token lasts.
const tokenTTL = 24 * time.Hour

// invitationView is how an agent is installed on the cluster's own side. values
// and command hold a secret.
type invitationView struct {
	Name     rings.ClusterName `json:"name"`
	App      rings.AppName     `json:"app"`
	Ring     rings.RingName    `json:"ring"`
	ClientID string            `json:"clientID"`
	Token    string            `json:"token"` // the name of the ClusterRegistrationToken
	Expires  *time.Time        `json:"expires"`
	Values   string            `json:"values"`  // of the chart fleet-agent, YAML
	Command  string            `json:"command"` // for a shell
	Next     string            `json:"next"`    // when the agent has checked in
}

// fleetCharts is where Fleet's own instructions take the charts from.
const fleetCharts = "https://rancher.github.io/fleet-helm-charts/"

// runToken prints the command that registers a cluster from its own side.
func (p *program) runToken(ctx context.Context, mv *move, o clusterAddOptions) error {
	m, err := p.managerOf(ctx, scopeOf(mv.app))
	if err != nil {
		return err
	}
	missing, err := m.MayInvite(ctx)
	if err != nil {
		return err
	}
	if err := notPermitted(m, missing); err != nil {
		return err
	}
	waiting, stop := context.WithTimeout(ctx, o.timeout)
	defer stop()
	inv, made, err := m.Invite(waiting, mv.cluster, o.ttl)
	if err != nil {
		return uninvited(m, mv, made, err)
	}
	version, why, err := m.Version(ctx)
	if err != nil {
		return err
	}
	if version == "" {
		p.say("warning: Fleet's version is not known (%s): add --version to the command, it is to be the manager's", why)
	}
	v := invitationView{Name: mv.cluster, App: mv.app.Name, Ring: mv.to, ClientID: inv.ClientID, Token: inv.Token, Expires: instant(inv.Expires),
		Values: string(inv.Values), Command: helmCommand(version, inv.Values), Next: labelLater(mv)}
	return p.printInvitation(v)
}

func (p *program) printInvitation(v invitationView) error {
	err := p.print(v, func(w io.Writer) error { return printLines(w, []string{strings.TrimRight(v.Command, "\n")}) })
	if err != nil || p.flags.output != "text" {
		return err
	}
	until := ""
	if v.Expires != nil {
		until = ", until " + stamp(*v.Expires)
	}
	p.say("\nRun this with the kubeconfig of cluster %q%s. It holds a secret: whoever has it can register clusters.", v.Name, until)
	p.say("When its agent has checked in, put it on its ring: %s", v.Next)
	return nil
}

// helmCommand installs the agent; the values go in by stdin, so that no file
// with a secret stays behind.
func helmCommand(version string, values []byte) string {
	chart := "fleet-agent --repo " + fleetCharts
	if v := strings.TrimPrefix(version, "v"); v != "" {
		chart += " --version " + v
	}
	return fmt.Sprintf("helm upgrade --install fleet-agent %s \\\n  --namespace %s --create-namespace --wait --values - <<'END'\n%sEND\n", chart, fleet.SystemNamespace, values)
}

// uninvited says what stays of an invitation that did not come about.
func uninvited(m *fleet.Manager, mv *move, made fleet.Made, err error) error {
	if len(made) == 0 {
		return err
	}
	v := classify(err)
	if errors.Is(err, context.DeadlineExceeded) {
		v.exit, v.code = exitTimeout, "timeout"
	}
	return &commandError{exit: v.exit, code: v.code, err: err, what: fmt.Sprintf("%v\n  what was made stays: %s", err, strings.Join(made, ", ")),
		hint: fmt.Sprintf("%s --token tries again\nkubectl --namespace %s delete %s takes it back", labelLater(mv), m.Workspace(), strings.Join(made, " "))}
}
