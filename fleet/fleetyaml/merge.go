package fleetyaml

import (
	"fmt"
	"maps"
	"strings"
)

// merge puts a customization over base options by Fleet's rules (controller/options/calculate.go:57-147): a non-empty
// string wins, values are merged map by map, lists in them replaced, booleans can only be switched on, overlays are
// appended, a positive forceSyncGeneration wins. Neither argument is changed; the result may share parts with both.
func merge(base, custom options) options {
	r := base
	r.DefaultNamespace = or(custom.DefaultNamespace, base.DefaultNamespace)
	r.TargetNamespace = or(custom.TargetNamespace, base.TargetNamespace)
	r.ServiceAccount = or(custom.ServiceAccount, base.ServiceAccount)
	r.KeepResources = base.KeepResources || custom.KeepResources
	if custom.ForceSyncGeneration > 0 {
		r.ForceSyncGeneration = custom.ForceSyncGeneration
	}
	if custom.Helm != nil {
		r.Helm = mergeHelm(base.Helm, custom.Helm)
	}
	if custom.Kustomize != nil && (custom.Kustomize.Dir != "" || base.Kustomize == nil) {
		r.Kustomize = custom.Kustomize
	}
	if custom.YAML != nil {
		r.YAML = mergeOverlays(base.YAML, custom.YAML)
	}
	if custom.Diff != nil {
		r.Diff = mergeDiff(base.Diff, custom.Diff)
	}
	if custom.CorrectDrift != nil {
		r.CorrectDrift = custom.CorrectDrift
	}
	r.DownstreamResources = mergeKeyed(base.DownstreamResources, custom.DownstreamResources, downstreamKey)
	return r
}

func mergeHelm(base, custom *helm) *helm {
	if base == nil {
		base = &helm{}
	}
	r := *base
	r.Chart = or(custom.Chart, base.Chart)
	r.Repo = or(custom.Repo, base.Repo)
	r.Version = or(custom.Version, base.Version)
	r.ReleaseName = or(custom.ReleaseName, base.ReleaseName)
	switch {
	case custom.TimeoutSeconds > 0:
		r.TimeoutSeconds = custom.TimeoutSeconds
	case custom.TimeoutSeconds < 0:
		r.TimeoutSeconds = 0
	}
	r.Values = mergeValues(base.Values, custom.Values)
	r.TemplateValues = mergeTemplates(base.TemplateValues, custom.TemplateValues)
	r.ValuesFrom = mergeKeyed(base.ValuesFrom, custom.ValuesFrom, valuesFromKey)
	r.Force = base.Force || custom.Force
	r.Atomic = base.Atomic || custom.Atomic
	r.TakeOwnership = base.TakeOwnership || custom.TakeOwnership
	r.DisablePreProcess = base.DisablePreProcess || custom.DisablePreProcess
	r.WaitForJobs = base.WaitForJobs || custom.WaitForJobs
	r.DisableDNS = base.DisableDNS || custom.DisableDNS
	return &r
}

// mergeValues merges maps key by key; where one side is not a map, custom replaces, null included
// (wrangler data.MergeMaps).
func mergeValues(base, custom map[string]any) map[string]any {
	if base == nil {
		return custom
	}
	if custom == nil {
		return base
	}
	r := maps.Clone(base)
	for k, v := range custom {
		left, ok1 := r[k].(map[string]any)
		right, ok2 := v.(map[string]any)
		if ok1 && ok2 {
			v = mergeValues(left, right)
		}
		r[k] = v
	}
	return r
}

func mergeTemplates(base, custom map[string]string) map[string]string {
	if base == nil {
		return custom
	}
	r := maps.Clone(base)
	maps.Copy(r, custom)
	return r
}

func mergeOverlays(base, custom *overlays) *overlays {
	r := &overlays{}
	if base != nil {
		r.Overlays = append(r.Overlays, base.Overlays...)
	}
	r.Overlays = append(r.Overlays, custom.Overlays...)
	return r
}

func mergeDiff(base, custom *diff) *diff {
	r := &diff{}
	if base != nil {
		r.ComparePatches = base.ComparePatches
	}
	r.ComparePatches = mergeKeyed(r.ComparePatches, custom.ComparePatches, comparePatchKey)
	return r
}

// mergeKeyed replaces an item of base by the first custom item with the same key and appends the others; an item without
// a key is always appended (internal/merge/merge.go: ByKey).
func mergeKeyed(base, custom []map[string]any, key func(map[string]any) string) []map[string]any {
	if len(custom) == 0 {
		return base
	}
	at := map[string]int{}
	for i, v := range base {
		at[key(v)] = i
	}
	r := append([]map[string]any(nil), base...)
	seen := map[string]bool{}
	for _, v := range custom {
		k := key(v)
		if i, ok := at[k]; ok && k != "" && !seen[k] {
			r[i] = v
		} else if k == "" || !seen[k] {
			r = append(r, v)
		}
		seen[k] = true
	}
	return r
}

func downstreamKey(v map[string]any) string {
	return strings.ToLower(text(v["kind"])) + "|" + text(v["name"])
}

func comparePatchKey(v map[string]any) string {
	return join(v, "apiVersion", "kind", "namespace", "name")
}

func valuesFromKey(v map[string]any) string {
	if ref, ok := v["configMapKeyRef"].(map[string]any); ok {
		return "configmap|" + join(ref, "namespace", "name", "key")
	}
	if ref, ok := v["secretKeyRef"].(map[string]any); ok {
		return "secret|" + join(ref, "namespace", "name", "key")
	}
	return ""
}

func join(v map[string]any, keys ...string) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = text(v[k])
	}
	return strings.Join(parts, "|")
}

// text is a scalar as a Go template in a chart prints it; "" for null. Fleet hands values over as JSON, so every number
// is a float64: `tag: 1234567` comes out as 1.234567e+06.
func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
