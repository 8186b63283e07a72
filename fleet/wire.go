package fleet

import (
	"encoding/json"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The wire types are the parts of Fleet's types that are read; the decoder
// skips the rest. Their names and tags are those of
// fleet/pkg/apis/fleet.cattle.io/v1alpha1.

// wireMeta is the part of an object's metadata that all kinds need.
type wireMeta struct {
	Name            string `json:"name"`
	Namespace       string `json:"namespace"`
	ResourceVersion string `json:"resourceVersion"`
	Generation      int64  `json:"generation"`
	Deletion        string `json:"deletionTimestamp"`
}

// wireCondition is wrangler's GenericCondition.
type wireCondition struct {
	Type           string `json:"type"`
	Status         string `json:"status"`
	LastUpdateTime string `json:"lastUpdateTime"`
	Reason         string `json:"reason"`
	Message        string `json:"message"`
}

type wireConditions []wireCondition

// failure returns the words of the condition if it is False: its message, else
// its reason, never "" then.
func (cs wireConditions) failure(kind string) string {
	for _, c := range cs {
		if c.Type == kind && c.Status == "False" {
			return words(c)
		}
	}
	return ""
}

// truth returns the words of the condition if it is True.
func (cs wireConditions) truth(kind string) string {
	for _, c := range cs {
		if c.Type == kind && c.Status == "True" {
			return words(c)
		}
	}
	return ""
}

// changed returns when the condition last changed its status or its words, in
// unix seconds; 0 without the condition, or when its time cannot be read.
func (cs wireConditions) changed(kind string) uint32 {
	i := slices.IndexFunc(cs, func(c wireCondition) bool { return c.Type == kind })
	if i < 0 {
		return 0
	}
	t, err := time.Parse(time.RFC3339, cs[i].LastUpdateTime)
	if seconds := t.Unix(); err == nil && 0 <= seconds && seconds <= math.MaxUint32 {
		return uint32(seconds)
	}
	return 0
}

func words(c wireCondition) string {
	switch {
	case c.Message != "":
		return c.Message
	case c.Reason != "":
		return c.Reason
	}
	return "no message"
}

// wireDeployment is a BundleDeployment. The labels are set by
// internal/cmd/controller/target/target.go:98-122.
type wireDeployment struct {
	Metadata struct {
		wireMeta
		Labels struct {
			Commit           string `json:"fleet.cattle.io/commit"`
			Repo             string `json:"fleet.cattle.io/repo-name"`
			Bundle           string `json:"fleet.cattle.io/bundle-name"`
			Cluster          string `json:"fleet.cattle.io/cluster"`
			ClusterNamespace string `json:"fleet.cattle.io/cluster-namespace"`
		} `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Paused      bool `json:"paused"`
		OffSchedule bool `json:"offSchedule"`
		Awaits      bool `json:"waitingForValues"`
		Options     struct {
			Nonce int64 `json:"forceSyncGeneration"`
		} `json:"options"`
		StagedID string `json:"stagedDeploymentID"`
		ID       string `json:"deploymentID"`
	} `json:"spec"`
	Status wireDeploymentStatus `json:"status"`
}

// wireDeploymentStatus leaves out display, which the controller writes, and
// resources, which is large; the rest is the agent's.
type wireDeploymentStatus struct {
	Conditions  wireConditions  `json:"conditions"`
	AppliedID   string          `json:"appliedDeploymentID"`
	Release     string          `json:"release"`
	Ready       bool            `json:"ready"`
	NonModified bool            `json:"nonModified"`
	NonReady    []wireNonReady  `json:"nonReadyStatus"`
	Modified    []wireModified  `json:"modifiedStatus"`
	Nonce       int64           `json:"syncGeneration"`
	Counts      json.RawMessage `json:"resourceCounts"`
}

type wireRef struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type wireNonReady struct {
	wireRef
	Summary struct {
		State   string   `json:"state"`
		Message []string `json:"message"`
	} `json:"summary"`
}

type wireModified struct {
	wireRef
	Missing bool   `json:"missing"`
	Exist   bool   `json:"exist"`
	Delete  bool   `json:"delete"`
	Patch   string `json:"patch"`
}

// key is the zero value for a BundleDeployment that is of no Bundle or Cluster.
func (w *wireDeployment) key() key {
	l := w.Metadata.Labels
	return key{intern(l.Bundle), intern(l.Cluster)}
}

func (w *wireDeployment) record() deployment {
	return deployment{
		commit:       intern(w.Metadata.Labels.Commit),
		installError: intern(w.Status.Conditions.failure("Installed")),
		deployError:  intern(w.Status.Conditions.failure("Deployed")),
		words:        intern(w.Status.words()),
		specNonce:    w.Spec.Options.Nonce,
		statusNonce:  w.Status.Nonce,
		status:       w.Status.digest(),
		readyAt:      w.Status.Conditions.changed("Ready"),
		flags:        w.flags(),
	}
}

func (w *wireDeployment) flags() flags {
	return flags(0).
		setIf(staged, w.Spec.StagedID == w.Spec.ID).
		setIf(applied, w.Spec.ID == w.Status.AppliedID).
		setIf(ready, w.Status.Ready).
		setIf(nonModified, w.Status.NonModified).
		setIf(paused, w.Spec.Paused).
		setIf(offSchedule, w.Spec.OffSchedule).
		setIf(awaits, w.Spec.Awaits).
		setIf(deleting, w.Metadata.Deletion != "")
}

var digestSeed = maphash.MakeSeed()

// digest changes whenever the agent changes the status, also in fields that
// are not kept: any movement is a sign of life.
func (s *wireDeploymentStatus) digest() uint64 {
	var h maphash.Hash
	h.SetSeed(digestSeed)
	put := func(parts ...string) {
		for _, p := range parts {
			_, _ = h.WriteString(p) // never fails
			_ = h.WriteByte(0)
		}
	}
	put(s.AppliedID, s.Release, string(s.Counts))
	maphash.WriteComparable(&h, [2]bool{s.Ready, s.NonModified})
	maphash.WriteComparable(&h, s.Nonce)
	for _, c := range s.Conditions {
		put(c.Type, c.Status, c.LastUpdateTime, c.Reason, c.Message)
	}
	for _, r := range s.NonReady {
		put(r.Kind, r.Namespace, r.Name, r.Summary.State)
		put(r.Summary.Message...)
	}
	for _, r := range s.Modified {
		put(r.Kind, r.Namespace, r.Name, r.Patch)
		maphash.WriteComparable(&h, [3]bool{r.Missing, r.Exist, r.Delete})
	}
	return h.Sum64()
}

// wireBundle is a Bundle. Each target carries the options of one entry of the
// fleet.yaml, the Bundle itself those of the GitRepo.
type wireBundle struct {
	Metadata struct {
		wireMeta
		Labels struct {
			Commit string `json:"fleet.cattle.io/commit"`
			Repo   string `json:"fleet.cattle.io/repo-name"`
		} `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Nonce   int64 `json:"forceSyncGeneration"`
		Targets []struct {
			Nonce int64 `json:"forceSyncGeneration"`
		} `json:"targets"`
	} `json:"spec"`
	Status struct {
		Conditions wireConditions `json:"conditions"`
	} `json:"status"`
}

// targetingError is how the message of Ready=False begins when the targets of
// a Bundle cannot be computed (internal/cmd/controller/reconciler/bundle_controller.go:382).
const targetingError = "targeting error"

// hashMismatch stands in the message of a targeting error that Fleet mends by
// itself: a write of a BundleDeployment came to nothing after that of its
// options, and the controller does both again (bundle_controller.go:383,
// errorutil/errorutil.go:15). Seen when the API server goes away in between.
const hashMismatch = "hash mismatch between secret and bundledeployment"

func (w *wireBundle) record() bundle {
	b := bundle{name: intern(w.Metadata.Name), repo: intern(w.Metadata.Labels.Repo),
		commit: intern(w.Metadata.Labels.Commit), nonce: w.Spec.Nonce, deleting: w.Metadata.Deletion != ""}
	for _, t := range w.Spec.Targets {
		b.nonce = max(b.nonce, t.Nonce)
	}
	if m := w.Status.Conditions.failure("Ready"); strings.HasPrefix(m, targetingError) && !strings.Contains(m, hashMismatch) {
		b.err = intern(m)
	}
	return b
}

// wireGitRepo is a GitRepo.
type wireGitRepo struct {
	Metadata wireMeta `json:"metadata"`
	Spec     struct {
		Paused         bool     `json:"paused"`
		Polling        string   `json:"pollingInterval"`
		DisablePolling bool     `json:"disablePolling"`
		Paths          []string `json:"paths"`
		Bundles        []struct {
			Base    string `json:"base"`
			Options string `json:"options"`
		} `json:"bundles"`
	} `json:"spec"`
	Status struct {
		Commit     string         `json:"commit"`
		JobStatus  string         `json:"gitJobStatus"`
		Conditions wireConditions `json:"conditions"`
	} `json:"status"`
}

// defaultPolling is gitjob_controller.go's defaultPollingSyncInterval, which an
// interval of zero means too (GetPollingIntervalDuration there).
const defaultPolling = 15 * time.Second

func (w *wireGitRepo) record() gitRepo {
	g := gitRepo{name: w.Metadata.Name, commit: w.Status.Commit, jobStatus: w.Status.JobStatus,
		stalled: w.Status.Conditions.truth("Stalled"), pollError: w.Status.Conditions.failure("GitPolling"),
		paused: w.Spec.Paused, generation: w.Metadata.Generation, paths: strings.Join(w.paths(), "\n")}
	if w.Spec.DisablePolling {
		return g
	}
	g.polling = defaultPolling
	if d, err := time.ParseDuration(w.Spec.Polling); err == nil && d > 0 {
		g.polling = d
	}
	return g
}

// paths are what Fleet joins with the GitRepo's name for a Bundle's name.
func (w *wireGitRepo) paths() []string {
	if len(w.Spec.Bundles) == 0 {
		return w.Spec.Paths
	}
	var out []string
	for _, b := range w.Spec.Bundles {
		out = append(out, drivenPath(b.Base, b.Options))
	}
	return out
}

// wireCluster is a Cluster.
type wireCluster struct {
	Metadata struct {
		wireMeta
		Labels      map[string]string       `json:"labels"`
		Annotations map[string]string       `json:"annotations"`
		Owners      []metav1.OwnerReference `json:"ownerReferences"`
	} `json:"metadata"`
	Spec struct {
		Paused   bool   `json:"paused"`
		ClientID string `json:"clientID"`
		Secret   string `json:"kubeConfigSecret"`
		Redeploy int64  `json:"redeployAgentGeneration"`
	} `json:"spec"`
	Status struct {
		Namespace  string         `json:"namespace"`
		Conditions wireConditions `json:"conditions"`
		Deployed   *int64         `json:"agentDeployedGeneration"`
		Agent      struct {
			LastSeen string `json:"lastSeen"`
		} `json:"agent"`
	} `json:"status"`
}

// lastSeen is zero when the agent never checked in.
func (w *wireCluster) lastSeen() time.Time {
	t, _ := time.Parse(time.RFC3339, w.Status.Agent.LastSeen)
	return t
}

func (w *wireCluster) record() member {
	m := member{name: intern(w.Metadata.Name), namespace: w.Status.Namespace}
	if t := w.lastSeen(); !t.IsZero() {
		m.lastSeen = t.UnixNano()
	}
	return m
}
