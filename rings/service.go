package rings

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// DefaultField is where a service's version stands unless it says otherwise.
const DefaultField = "helm.values.image.tag"

// Service is one fleet.yaml in a git repository, deployed by a Fleet GitRepo
// as one Bundle.
type Service struct {
	Name      ServiceName   `json:"name"`
	Repo      string        `json:"repo"`             // clone URL, without credentials
	Branch    string        `json:"branch"`           // as Fleet follows it
	Path      string        `json:"path"`             // folder of fleet.yaml, "" for the root
	GitRepo   string        `json:"gitRepo"`          // name of the Fleet GitRepo in the workspace
	Bundle    string        `json:"bundle,omitempty"` // name of its Bundle: the `name:` of fleet.yaml, or what Fleet made of it; "" while neither is known
	Managed   bool          `json:"managed"`          // the GitRepo was created by us
	Secret    string        `json:"clientSecret,omitempty"`
	Fields    []string      `json:"fields"`
	Settings  []Setting     `json:"settings,omitempty"` // what else of the file is planned
	DependsOn []ServiceName `json:"dependsOn,omitempty"`
	// AcceptRedeploy: a person knows that a change of the field upgrades every
	// ring's release (chart versions, DESIGN section 5).
	AcceptRedeploy bool `json:"acceptRedeploy,omitempty"`
	// Publish is how a version gets onto the branch.
	Publish Publish `json:"publish,omitempty"`
	// Known is, for each ring, what was last recorded here.
	Known map[RingName]Known `json:"known,omitempty"`
	// Held is, for each ring, the versions that a rollback withdrew, and values
	// of settings, each as "NAME=VALUE", which no version can be: to roll one out
	// there again needs a reason.
	Held map[RingName]map[Version]Hold `json:"held,omitempty"`
	// LastNonce is the largest nonce that an attempt of this store used.
	LastNonce int64 `json:"lastNonce,omitempty"`
}

// Publish is how a version gets onto a service's branch.
type Publish string

// Ways to publish.
const (
	PublishPush   Publish = ""       // it is pushed there
	PublishBranch Publish = "branch" // it is proposed on a branch of its own, and a person merges that
)

// Known is what this store knows of a service on a ring: the version that it
// last saw published or was told to adopt, and one that an attempt may have
// published without our seeing it.
type Known struct {
	Version   Version `json:"version"`
	Attempted Version `json:"attempted,omitempty"`
	// Settings are the values that were last recorded, Tried those that an attempt
	// may have published without our seeing it.
	Settings Values    `json:"settings,omitempty"`
	Tried    Values    `json:"tried,omitempty"`
	Commit   string    `json:"commit,omitempty"`
	At       time.Time `json:"at"`
	// DecidedAt is when somebody decided on Version: when the rollout began that
	// put it there. Zero: At says it.
	DecidedAt time.Time `json:"decidedAt,omitzero"`
	// Verified is the rollout that ended well with Version on the ring, and
	// VerifiedAt when it did; "" when none did or something was changed since.
	Verified   string    `json:"verified,omitempty"`
	VerifiedAt time.Time `json:"verifiedAt,omitzero"` // zero: not before At
}

// DecidedSince is when somebody decided on the version; zero when nothing is
// known.
func (k Known) DecidedSince() time.Time {
	if k.DecidedAt.IsZero() {
		return k.At
	}
	return k.DecidedAt
}

// VerifiedSince is when a rollout ended well with the version, if one did.
func (k Known) VerifiedSince() time.Time {
	if k.VerifiedAt.IsZero() {
		return k.At
	}
	return k.VerifiedAt
}

// Wrote reports whether v in the file is explained by this store.
func (k Known) Wrote(v Version) bool {
	return v == k.Version || k.Attempted != "" && v == k.Attempted
}

// WroteValue reports whether the value in the file is explained by this store:
// it wrote it, or knows of none.
func (k Known) WroteValue(name SettingName, value string) bool {
	known, recorded := k.Settings[name]
	tried, may := k.Tried[name]
	return !recorded && !may || recorded && value == known || may && value == tried
}

// File is the path of the fleet.yaml within the repository.
func (s Service) File() string {
	if s.Path == "" {
		return "fleet.yaml"
	}
	return strings.Trim(s.Path, "/") + "/fleet.yaml"
}

// Validate returns an *InvalidError that names every fault, or nil. Whether
// its dependencies exist is for [Application.Validate] to say.
func (s Service) Validate() error {
	faults := []string{CheckName("service", string(s.Name))}
	if s.Repo == "" {
		faults = append(faults, "the repository is missing")
	}
	if strings.Contains(s.Repo, "@") && strings.HasPrefix(s.Repo, "http") {
		faults = append(faults, "the repository's URL holds credentials; they are never stored")
	}
	if slices.Contains(strings.Split(s.Path, "/"), "..") {
		faults = append(faults, fmt.Sprintf("path %q leaves the repository", s.Path))
	}
	if slices.Contains(s.DependsOn, s.Name) {
		faults = append(faults, fmt.Sprintf("service %q depends on itself", s.Name))
	}
	faults = append(faults, oneOf("publish", s.Publish, "push", PublishBranch))
	faults = append(faults, s.settingFaults()...)
	return invalid(fmt.Sprintf("service %q", s.Name), faults...)
}

// HoldOf is the name under which a value of a setting is held.
func HoldOf(name SettingName, value string) Version {
	return Version(fmt.Sprintf("%s=%s", name, value))
}

// Hold says why a version should not run on a ring again.
type Hold struct {
	Rollout string    `json:"rollout"` // that withdrew it
	By      string    `json:"by"`
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}
