package main

import (
	"fmt"
	"time"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
)

// previewView is what a rollout is going to do: what `create --dry-run -o json`
// prints.
type previewView struct {
	App       rings.AppName     `json:"app"`
	Rings     []previewRingView `json:"rings"` // in the order they go
	Left      []leftRingView    `json:"left"`  // of the groups that were named
	Untouched []untouchedView   `json:"untouched"`
	Others    []otherView       `json:"others"`
	Train     *takenView        `json:"train"` // of a train
	Locks     []lockView        `json:"locks"` // that are set with it
}

// kept says that what the lock holds is kept, and how it is released.
func (l lockView) kept() string {
	return fmt.Sprintf("%s is locked from the start on; \"%s\" releases it", l.Part, l.Release)
}

// previewRingView is a ring of the rollout.
type previewRingView struct {
	Ring     rings.RingName      `json:"ring"`
	Clusters []rings.ClusterName `json:"clusters"` // that carry its labels
	Skipped  bool                `json:"skipped"`  // it is only passed through, and has no clusters
	Gates    []gateView          `json:"gates"`
	Steps    []previewStepView   `json:"steps"` // those only looked at first, then wave by wave
}

// gateView is something that a ring demands of the rollout.
type gateView struct {
	Gate  string `json:"gate"` // halt, lock, window, upstream, approval, offline, joins, soak, check or failure
	When  string `json:"when"` // before, during or after
	Words string `json:"words"`
	// Holds: the rollout is going to wait for it, or to fail at it, as things
	// are now.
	Holds bool `json:"holds"`
	// Over: a person goes over it, with a reason.
	Over bool `json:"over"`
}

// Times at which a gate counts.
const (
	whenBefore = "before" // the ring begins
	whenDuring = "during" // while its services become live
	whenAfter  = "after"  // they are
)

// previewStepView is one service on one ring.
type previewStepView struct {
	Service  rings.ServiceName      `json:"service"`
	Wave     int                    `json:"wave"`     // from 1; 0 when it is observed
	Observed bool                   `json:"observed"` // not in the plan: only its health is looked at
	Repo     string                 `json:"repo"`
	Branch   string                 `json:"branch"`
	File     string                 `json:"file"` // path of the fleet.yaml in the repository; "" when it could not be read
	From     rings.Version          `json:"from"` // what the branch gives the clusters; "" when they get none, or several
	To       rings.Version          `json:"to"`   // "" when it is observed
	Settings []orchestrator.Changed `json:"settings,omitempty"`
	Words    string                 `json:"words"`
	// Nonce is what the commit sets beside the version, by what is known now: it
	// is decided when the step starts. 0: nothing is written.
	Nonce int64 `json:"nonce"`
	// Diff is what the commit changes in the file, after those of the rings
	// before; "" when nothing is written.
	Diff     string               `json:"diff"`
	Clusters []previewClusterView `json:"clusters"` // that the service is deployed to
	Excluded []excludedView       `json:"excluded"` // the others of the ring
	Modified []rings.ClusterName  `json:"modified"` // changed by hand, so that the upgrade will probably hang
	// Redeployed are clusters of other rings that are upgraded, too, with the
	// content that they have.
	Redeployed []rings.ClusterName `json:"redeployed"`
	Findings   []findingView       `json:"findings"`
}

// previewClusterView is a cluster that a service is deployed to.
type previewClusterView struct {
	Name rings.ClusterName `json:"name"`
	// Runs is the version at the commit that the cluster acknowledged; "" when
	// that is not known, or nothing runs there: Reason says which.
	Runs   rings.Version `json:"runs"`
	Gets   rings.Version `json:"gets"`   // what would run
	Reason string        `json:"reason"` // why Runs is "", and what is wrong there; "" when all is well
}

type excludedView struct {
	Cluster rings.ClusterName `json:"cluster"`
	Why     string            `json:"why"`
}

// untouchedView are clusters of the application that keep what they have.
type untouchedView struct {
	Ring     rings.RingName      `json:"ring"`    // that they are on; "" for none
	Service  rings.ServiceName   `json:"service"` // "" for all
	Why      string              `json:"why"`
	Clusters []rings.ClusterName `json:"clusters"`
}

// otherView is a live rollout of another application that meets a step here.
type otherView struct {
	Rollout   orchestrator.ID     `json:"rollout"`
	App       rings.AppName       `json:"app"`
	Phase     orchestrator.Phase  `json:"phase"`
	StartedBy string              `json:"startedBy"`
	StartedAt *time.Time          `json:"startedAt"`
	Theirs    rings.ServiceName   `json:"theirs"` // their service
	Service   rings.ServiceName   `json:"service"`
	Shares    string              `json:"shares"` // file, or gitrepo
	Clusters  []rings.ClusterName `json:"clusters"`
}

// What two services can share.
const (
	sharesFile    = "file"
	sharesGitRepo = "gitrepo"
)

// absences say on which clusters of the ring the service is not, and why.
func (s previewStepView) absences() []string {
	var all []untouchedView
	for _, x := range s.Excluded {
		all = keep(all, untouchedView{Why: x.Why}, x.Cluster)
	}
	var out []string
	for _, u := range all {
		out = append(out, "not on "+shortNames(u.Clusters)+": "+u.Why)
	}
	return out
}

// warnings are what a person should see before the step starts.
func (s previewStepView) warnings() []string {
	var out []string
	for _, name := range s.Modified {
		out = append(out, string(name)+" is modified now, so its upgrade will probably hang")
	}
	if len(s.Redeployed) > 0 {
		out = append(out, "upgraded with the content that they have, too: "+shortNames(s.Redeployed))
	}
	for _, f := range s.Findings {
		if f.Severity == fleetyaml.Warning {
			out = append(out, f.Message)
		}
	}
	return out
}
