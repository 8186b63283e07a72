package appfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollout/rings"
)

// What the first lines of a file say.
const (
	APIVersion = "rollout/v1"
	Kind       = "Application"
)

// DefaultRingLabel is the label that carries a cluster's ring, and
// DefaultBranch what Fleet follows, unless the file says otherwise.
const (
	DefaultRingLabel = "ring"
	DefaultBranch    = "main"
)

// File is an application as its file says it. The zero value of a field is
// what the file leaves out.
type File struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Name       rings.AppName     `json:"name"`
	Workspace  string            `json:"workspace,omitempty"` // "": as --namespace says
	RingLabel  string            `json:"ringLabel,omitempty"`
	Selector   map[string]string `json:"selector,omitempty"`
	Rings      []Ring            `json:"rings,omitempty"` // in rollout order
	Groups     []Group           `json:"groups,omitempty"`
	Services   []Service         `json:"services,omitempty"` // in any order
	Locks      []Lock            `json:"locks,omitempty"`    // nil: the file says nothing of locks
	Windows    []Window          `json:"windows,omitempty"`
}

// Ring is a ring, its policy, and the clusters that are on it.
type Ring struct {
	Name      rings.RingName      `json:"name"`
	Policy    Policy              `json:"policy,omitzero"`
	Train     Train               `json:"train,omitzero"` // that starts by itself
	OnRelease rings.OnRelease     `json:"onRelease,omitempty"`
	Clusters  []rings.ClusterName `json:"clusters,omitempty"`
}

// Train is [rings.Schedule]; without a time zone it is UTC's.
type Train struct {
	Cron     string `json:"cron"`
	TimeZone string `json:"timeZone,omitempty"`
	Within   Span   `json:"within,omitempty"`
}

// Group is a name for several rings.
type Group struct {
	Name  rings.RingName   `json:"name"`
	Rings []rings.RingName `json:"rings"`
}

// Policy is [rings.Policy] in the words of the command line.
type Policy struct {
	Deadline        Span            `json:"deadline,omitempty"`
	UptakeDeadline  Span            `json:"uptakeDeadline,omitempty"`
	MergeDeadline   Span            `json:"mergeDeadline,omitempty"`
	ApproveBefore   bool            `json:"approveBefore,omitempty"`
	ApproveAfter    bool            `json:"approveAfter,omitempty"`
	ApprovalExpires Span            `json:"approvalExpires,omitempty"`
	Soak            Span            `json:"soak,omitempty"`
	MaxFailed       Amount          `json:"maxFailed,omitzero"`
	OnOffline       rings.OnOffline `json:"onOffline,omitempty"`
	MaxOffline      Amount          `json:"maxOffline,omitzero"`
	OnFailure       rings.OnFailure `json:"onFailure,omitempty"`
	OnJoin          rings.OnJoin    `json:"onJoin,omitempty"`
	FreezeUpstream  bool            `json:"freezeUpstream,omitempty"`
	Checks          []Check         `json:"checks,omitempty"`
}

// Check is [rings.Check].
type Check struct {
	Name      string          `json:"name"`
	Kind      rings.CheckKind `json:"kind"`
	Command   string          `json:"command,omitempty"`
	URL       string          `json:"url,omitempty"`
	Query     string          `json:"query,omitempty"`
	Threshold string          `json:"threshold,omitempty"`
	Interval  Span            `json:"interval,omitempty"`
	Timeout   Span            `json:"timeout,omitempty"`
	Samples   int             `json:"samples,omitempty"`
	Failures  int             `json:"failures,omitempty"`
}

// Service is a service as `service add` is told of it.
type Service struct {
	Name           rings.ServiceName   `json:"name"`
	Repo           string              `json:"repo"`
	Branch         string              `json:"branch,omitempty"`
	Path           string              `json:"path,omitempty"`
	GitRepo        string              `json:"gitRepo,omitempty"` // "": the one that deploys it
	ClientSecret   string              `json:"clientSecret,omitempty"`
	Fields         []string            `json:"fields,omitempty"`
	Settings       []Setting           `json:"settings,omitempty"`
	DependsOn      []rings.ServiceName `json:"dependsOn,omitempty"`
	AcceptRedeploy bool                `json:"acceptRedeploy,omitempty"`
	Publish        rings.Publish       `json:"publish,omitempty"`
}

// Setting is [rings.Setting].
type Setting struct {
	Name  rings.SettingName `json:"name"`
	Field string            `json:"field"`
	Type  rings.SettingType `json:"type,omitempty"` // "": the type of the value that is there
	Min   *float64          `json:"min,omitempty"`
	Max   *float64          `json:"max,omitempty"`
}

// Lock is a lock as `lock` is told of it; one that names no part is of the
// application.
type Lock struct {
	Ring         rings.RingName    `json:"ring,omitempty"`
	Service      rings.ServiceName `json:"service,omitempty"`
	Cluster      rings.ClusterName `json:"cluster,omitempty"`
	ClusterGroup string            `json:"clusterGroup,omitempty"`
	Holder       string            `json:"holder"`
	Reason       string            `json:"reason"`
	Link         string            `json:"link,omitempty"`
	Until        time.Time         `json:"until,omitzero"`
}

// Window is a window as `window add` is told of it.
type Window struct {
	Name     rings.WindowName `json:"name"`
	Kind     rings.WindowKind `json:"kind"`
	Ring     rings.RingName   `json:"ring,omitempty"`
	Cron     string           `json:"cron,omitempty"`
	Duration Span             `json:"duration,omitempty"`
	From     time.Time        `json:"from,omitzero"`
	To       time.Time        `json:"to,omitzero"`
	TimeZone string           `json:"timeZone,omitempty"`
	Reason   string           `json:"reason,omitempty"`
}

// Span is a duration as people write it: "90s", "1h30m".
type Span time.Duration

// MarshalText implements [encoding.TextMarshaler].
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err == nil {
		*s = Span(d)
	}
	return err
}

// String is the duration without parts that are zero: "1h", not "1h0m0s".
func (s Span) String() string {
	out, rest := "", time.Duration(s)
	for _, u := range []struct {
		name string
		size time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}} {
		if n := rest / u.size; n != 0 {
			out += fmt.Sprintf("%d%s", n, u.name)
			rest -= n * u.size
		}
	}
	if rest != 0 || out == "" {
		out += rest.String()
	}
	return out
}

// Amount is [rings.Amount]; a number may be written without quotes.
type Amount struct{ rings.Amount }

// MarshalJSON writes a number, or a share in quotes.
func (a Amount) MarshalJSON() ([]byte, error) {
	if a.Percent {
		return json.Marshal(a.String())
	}
	return json.Marshal(a.N)
}

// UnmarshalJSON reads both, and a number in quotes.
func (a *Amount) UnmarshalJSON(text []byte) (err error) {
	var words string
	if json.Unmarshal(text, &words) != nil {
		words = string(text)
	}
	a.Amount, err = rings.ParseAmount(words)
	return err
}

// Of is the file of an application as it is stored, with the clusters that are
// recorded for it.
func Of(a *rings.Application, clusters []rings.Cluster) *File {
	f := &File{APIVersion: APIVersion, Kind: Kind, Name: a.Name}
	for _, s := range sections {
		s.write(f, a, clusters)
	}
	return f
}

// Application is what the file describes, without what is only known once it
// is stored. The error is as of [rings.Application.Validate].
func (f *File) Application() (*rings.Application, error) {
	a := &rings.Application{Name: f.Name, Workspace: f.Workspace, RingLabel: or(f.RingLabel, DefaultRingLabel), Selector: maps.Clone(f.Selector)}
	if len(a.Selector) == 0 {
		a.Selector = map[string]string{"app": string(f.Name)}
	}
	for _, r := range f.Rings {
		a.Rings = append(a.Rings, rings.Ring{Name: r.Name, Policy: r.Policy.policy(), Starts: r.starts()})
	}
	for _, s := range f.Services {
		a.Services = append(a.Services, s.service())
	}
	for _, g := range f.Groups {
		a.Groups = append(a.Groups, rings.Group{Name: g.Name, Rings: g.Rings})
	}
	checked := *a
	checked.Services = typed(a.Services)
	return a, checked.Validate()
}

// RingOf returns the ring that the file puts the cluster on, and whether it
// names the cluster at all.
func (f *File) RingOf(cluster rings.ClusterName) (rings.RingName, bool) {
	for _, r := range f.Rings {
		if slices.Contains(r.Clusters, cluster) {
			return r.Name, true
		}
	}
	return "", false
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
