package fleetyaml

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// spec is what Fleet reads from the file, as far as it decides who gets what. The shapes follow
// pkg/apis/fleet.cattle.io/v1alpha1: FleetYAML, BundleSpec, BundleDeploymentOptions, BundleTarget. Decoding is Fleet's own
// (sigs.k8s.io/yaml). It turns numbers and booleans into strings where the field is a string, but not for fields that come
// from an embedded struct; so what Fleet embeds is embedded here, and what it does not is not.
type spec struct {
	bundleSpec
	Name                 string         `json:"name"`
	TargetCustomizations []customTarget `json:"targetCustomizations"`
	ImageScans           []any          `json:"imageScans"`
	OverrideTargets      []Target       `json:"overrideTargets"`
}

// bundleSpec is the part of BundleSpec that can stand in the file.
type bundleSpec struct {
	options
	Paused                  bool      `json:"paused"`
	RolloutStrategy         *strategy `json:"rolloutStrategy"`
	TargetCustomizationMode string    `json:"targetCustomizationMode"`
	Targets                 []any     `json:"targets"`
	TargetRestrictions      []any     `json:"targetRestrictions"`
}

// customTarget is one targetCustomizations entry.
type customTarget struct {
	options
	Name                 string                `json:"name,omitempty"`
	ClusterName          string                `json:"clusterName,omitempty"`
	ClusterSelector      *metav1.LabelSelector `json:"clusterSelector,omitempty"`
	ClusterGroup         string                `json:"clusterGroup,omitempty"`
	ClusterGroupSelector *metav1.LabelSelector `json:"clusterGroupSelector,omitempty"`
	DoNotDeploy          bool                  `json:"doNotDeploy,omitempty"`
	// These two are not merged: the labels of every entry go to every cluster's namespace (target/target.go:75-85).
	NamespaceLabels      map[string]string `json:"namespaceLabels,omitempty"`
	NamespaceAnnotations map[string]string `json:"namespaceAnnotations,omitempty"`
}

// target is the entry's criteria.
func (t customTarget) target() Target {
	return Target{t.Name, t.ClusterName, t.ClusterSelector, t.ClusterGroup, t.ClusterGroupSelector, t.DoNotDeploy}
}

// options are the BundleDeploymentOptions that a customization can set. Options that Fleet takes from the root only
// (deleteNamespace, ignore, deleteCRDResources and so on) are not here; the digest covers them with the rest of the root.
type options struct {
	DefaultNamespace    string           `json:"defaultNamespace,omitempty"`
	TargetNamespace     string           `json:"namespace,omitempty"`
	ServiceAccount      string           `json:"serviceAccount,omitempty"`
	ForceSyncGeneration int64            `json:"forceSyncGeneration,omitempty"`
	KeepResources       bool             `json:"keepResources,omitempty"`
	Helm                *helm            `json:"helm,omitempty"`
	Kustomize           *kustomize       `json:"kustomize,omitempty"`
	YAML                *overlays        `json:"yaml,omitempty"`
	Diff                *diff            `json:"diff,omitempty"`
	CorrectDrift        map[string]any   `json:"correctDrift,omitempty"`
	DownstreamResources []map[string]any `json:"downstreamResources,omitempty"`
}

type helm struct {
	Chart             string            `json:"chart,omitempty"`
	Repo              string            `json:"repo,omitempty"`
	Version           string            `json:"version,omitempty"`
	ReleaseName       string            `json:"releaseName,omitempty"`
	TimeoutSeconds    int               `json:"timeoutSeconds,omitempty"`
	Values            map[string]any    `json:"values,omitempty"`
	TemplateValues    map[string]string `json:"templateValues,omitempty"`
	ValuesFrom        []map[string]any  `json:"valuesFrom,omitempty"`
	ValuesFiles       []string          `json:"valuesFiles,omitempty"`
	Force             bool              `json:"force,omitempty"`
	Atomic            bool              `json:"atomic,omitempty"`
	TakeOwnership     bool              `json:"takeOwnership,omitempty"`
	DisablePreProcess bool              `json:"disablePreProcess,omitempty"`
	WaitForJobs       bool              `json:"waitForJobs,omitempty"`
	DisableDNS        bool              `json:"disableDNS,omitempty"`
}

type kustomize struct {
	Dir string `json:"dir,omitempty"`
}

type overlays struct {
	Overlays []string `json:"overlays,omitempty"`
}

type diff struct {
	ComparePatches []map[string]any `json:"comparePatches,omitempty"`
}

// strategy is Fleet's RolloutStrategy, as far as it can hold a cluster back.
type strategy struct {
	MaxUnavailable           *intstr.IntOrString `json:"maxUnavailable"`
	MaxUnavailablePartitions *intstr.IntOrString `json:"maxUnavailablePartitions"`
	AutoPartitionSize        *intstr.IntOrString `json:"autoPartitionSize"`
	AutoPartitionThreshold   *int                `json:"autoPartitionThreshold"`
	MaxNew                   *int                `json:"maxNew"`
	Partitions               []partitionSpec     `json:"partitions"`
}

type partitionSpec struct {
	Target
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable"`
}

// allMatches is the mode in which every matching entry applies; anything else is FirstMatch to Fleet
// (controller/target/builder.go:103).
const allMatches = "AllMatches"
