package fleetyaml

import (
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Dependency is one item of dependsOn: another bundle, by its name or by its labels.
type Dependency struct {
	Name     string                `json:"name"`
	Selector *metav1.LabelSelector `json:"selector"`
}

// Dependencies are what dependsOn says, in its order; nil if it says nothing. Fleet holds the bundle back until these are
// ready on the cluster.
func (f *File) Dependencies() []Dependency {
	var out []Dependency
	f.declared("dependsOn", &out)
	return out
}

// Labels are those that the file gives its bundle; nil if none.
func (f *File) Labels() map[string]string {
	var out map[string]string
	f.declared("labels", &out)
	return out
}

// declared decodes a key of the root. What is not of its type is left out: Fleet could not read the file then.
func (f *File) declared(key string, into any) {
	if text, err := json.Marshal(f.raw[key]); err == nil {
		_ = json.Unmarshal(text, into)
	}
}

// Entries are the criteria of targetCustomizations, in order; nil if there are none.
func (f *File) Entries() []Target {
	var out []Target
	for _, t := range f.spec.TargetCustomizations {
		out = append(out, t.target())
	}
	return out
}

// versionKeys end the paths under which charts keep a version.
var versionKeys = []string{"tag", "imageTag", "version"}

// Candidates are the places below helm.values of any entry that look like a version's by their last key, sorted; nil if
// there are none. Which of them is one is for a person, or Inspect, to say.
func (f *File) Candidates() []Field {
	var out []Field
	for _, t := range f.spec.TargetCustomizations {
		if t.Helm != nil {
			out = candidates(out, "helm.values", t.Helm.Values)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func candidates(out []Field, at string, values map[string]any) []Field {
	for k, v := range values {
		here := at + "." + strings.ReplaceAll(k, ".", `\.`)
		switch v := v.(type) {
		case map[string]any:
			out = candidates(out, here, v)
		case string, float64, int64:
			if slices.Contains(versionKeys, k) {
				out = append(out, Field(here))
			}
		}
	}
	return out
}
