package orchestrator

import "rollout/rings"

// Scope is the part of a Fleet that a rollout is about: fixed when the rollout
// is created, so that a later change of the application does not move it.
type Scope struct {
	App       rings.AppName     `json:"app"`
	Workspace string            `json:"workspace"`
	Manager   string            `json:"manager"` // uid of kube-system
	RingLabel string            `json:"ringLabel"`
	Selector  map[string]string `json:"selector,omitempty"`
}

// Labels are those that put a cluster on the ring. The map is new.
func (s Scope) Labels(ring rings.RingName) map[string]string {
	a := rings.Application{RingLabel: s.RingLabel, Selector: s.Selector}
	return a.RingLabels(ring)
}

// Target says where a service's version and settings are written and how Fleet deploys it:
// fixed when the rollout is created.
type Target struct {
	Service rings.ServiceName `json:"service"`
	Repo    string            `json:"repo"`
	Branch  string            `json:"branch"`
	Path    string            `json:"path,omitempty"` // folder of fleet.yaml
	GitRepo string            `json:"gitRepo"`
	// Bundle is the `name:` of fleet.yaml, "" when it has none: then the Bundle
	// is found among those of the GitRepo.
	Bundle string   `json:"bundle,omitempty"`
	Fields []string `json:"fields"`
	// Settings are what else of the file may be planned.
	Settings []rings.Setting `json:"settings,omitempty"`
	Managed  bool            `json:"managed,omitempty"` // we created the GitRepo
	// AcceptRedeploy: see rings.Service.
	AcceptRedeploy bool `json:"acceptRedeploy,omitempty"`
	// Publish is how a version gets onto the branch.
	Publish rings.Publish `json:"publish,omitempty"`
}

// TargetOf returns the target of a service.
func TargetOf(s rings.Service) Target {
	return Target{Service: s.Name, Repo: s.Repo, Branch: s.Branch, Path: s.Path, GitRepo: s.GitRepo, Bundle: s.Bundle,
		Fields: s.Fields, Settings: s.Settings, Managed: s.Managed, AcceptRedeploy: s.AcceptRedeploy, Publish: s.Publish}
}
