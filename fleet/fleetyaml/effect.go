package fleetyaml

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Effect is what a cluster gets from the file.
type Effect struct {
	Deployed bool   // Fleet makes a BundleDeployment for the cluster
	Why      string // in words: which entries, or why nothing is deployed
	Entries  []int  // the targetCustomizations that apply, in order, from 0; nil: the base values alone

	Version string // what the fields say, as a chart prints it; several versions joined by ", " if they differ
	Found   bool   // every field has a value; without it Version is what was found, often ""
	Nonce   int64  // forceSyncGeneration, 0 if none; never the root's, which Fleet overwrites (bundlereader/read.go:234)
	Digest  string // a hash of everything else that the file gives the cluster: equal means unchanged

	// KeepResources: what was deployed stays on the cluster when its deployment is taken away. The GitRepo may say so, too.
	KeepResources bool

	// Unread are values files that Fleet merges in but that were not handed in (File.WithValuesFiles), so that Version may
	// be something else than what the cluster gets.
	Unread []string

	// Settings are the values at the settings' fields that the View was made for, as rings.Setting.Parse gives them; "" where
	// there is none.
	Settings []string

	versions []string // one for each field; "" if it has no value
	leaves   []any    // of Settings, as Fleet reads them; nil if there is no value
}

// Effect computes what one cluster gets by Fleet's rule. targets are the GitRepo's targets; the file's overrideTargets
// replace them, and without any Fleet takes the cluster group "default". Without fields, DefaultField is meant. The error
// is an *Error: a selector that Kubernetes refuses, or fields that carry different versions (the Effect is complete then).
// For many clusters use View, which does the common work once.
func (f *File) Effect(c Cluster, targets []Target, fields []Field) (Effect, error) {
	v, err := f.View(targets, fields)
	if err != nil {
		return Effect{}, err
	}
	return v.Effect(c)
}

// View answers Effect for many clusters. It is not safe for concurrent use; make one for each goroutine.
type View struct {
	f        *File
	targets  []matcher
	entries  []matcher
	fields   []Field
	settings []Field
	cache    map[string]Effect // by the entries that apply: what they merge to
	key      []byte            // scratch, for the cache's key
	apply    []int             // scratch, for the entries that apply
	rest     string            // hash of what the root says beyond the merged options
}

const selectorHint = "repair the selector; Fleet refuses the whole bundle for it"

// View prepares Effect for the given targets, fields (see File.Effect) and settings' fields. The error is an *Error about a selector, or
// about targets in the file that make entries ambiguous.
func (f *File) View(targets []Target, fields []Field, settings ...Field) (*View, error) {
	if fs := f.targetFaults(); len(f.spec.Targets)+len(f.spec.TargetRestrictions) > 0 {
		return nil, fs[0]
	}
	v := &View{f: f, fields: orDefault(fields), settings: settings, cache: map[string]Effect{}, rest: f.restDigest()}
	for _, t := range f.targets(targets) {
		m, err := t.compile()
		if err != nil {
			e := f.fault(CodeSelector, 0, "target %q: %v", t.Name, err)
			e.Hint = selectorHint
			return nil, e
		}
		v.targets = append(v.targets, m)
	}
	for i, t := range f.spec.TargetCustomizations {
		m, err := t.target().compile()
		if err != nil {
			e := f.fault(CodeSelector, f.entryLine(i), "%v", err)
			e.Entry, e.Hint = f.entryName(i), selectorHint
			return nil, e
		}
		v.entries = append(v.entries, m)
	}
	return v, nil
}

// targets are those that decide: the file's own if it has the key (bundlereader/read.go:236-255), else the GitRepo's, else
// the default group (controller/gitops/reconciler/targetsyaml.go:46-56).
func (f *File) targets(repo []Target) []Target {
	if len(f.spec.OverrideTargets) > 0 || f.entriesAreTargets() {
		return f.spec.OverrideTargets
	}
	if len(repo) == 0 || f.spec.OverrideTargets != nil {
		return []Target{{Name: "default", ClusterGroup: "default"}}
	}
	return repo
}

// entriesAreTargets is the case of empty overrideTargets: with no target at the end of the list, Fleet takes the entries
// themselves for targets, of which the first that matches counts (matcher/bundlematch.go: determineIsCustomization).
func (f *File) entriesAreTargets() bool {
	return f.spec.OverrideTargets != nil && len(f.spec.OverrideTargets) == 0 && len(f.spec.TargetCustomizations) > 0
}

// Effect is File.Effect for one cluster.
func (v *View) Effect(c Cluster) (Effect, error) {
	e := v.effect(c)
	if e.Deployed && v.disagree(e) {
		return e, v.disagreement(c, e)
	}
	return e, nil
}

func (v *View) disagree(e Effect) bool {
	return len(slices.Compact(slices.Clone(e.versions))) > 1
}

func (v *View) disagreement(c Cluster, e Effect) *Error {
	parts := make([]string, len(v.fields))
	for i, fl := range v.fields {
		parts[i] = fmt.Sprintf("%s says %q", fl, e.versions[i])
	}
	err := v.f.fault(CodeDisagree, 0, "the version fields differ: %s", strings.Join(parts, ", "))
	err.Clusters = []string{c.Name}
	return err
}

// effect follows controller/target/builder.go:81-150: a target must select the cluster, then the entries apply, the first
// match or all of them; doNotDeploy in any that applies means that nothing is deployed.
func (v *View) effect(c Cluster) Effect {
	at := slices.IndexFunc(v.targets, func(m matcher) bool { return m.matches(c) })
	if v.f.entriesAreTargets() {
		return v.first(c)
	}
	if at < 0 {
		return Effect{Why: "not deployed: no target of the GitRepo selects it"}
	}
	if v.targets[at].target.DoNotDeploy {
		return Effect{Why: fmt.Sprintf("not deployed: target %q says doNotDeploy", v.targets[at].target.Name)}
	}
	if v.f.spec.TargetCustomizationMode != allMatches {
		e := v.first(c)
		if e.Entries == nil {
			return v.merged(nil)
		}
		return e
	}
	v.apply = v.apply[:0]
	for i, m := range v.entries {
		if !m.matches(c) {
			continue
		}
		v.apply = append(v.apply, i)
		if m.target.DoNotDeploy {
			return v.off(v.apply)
		}
	}
	return v.merged(v.apply)
}

// first is the effect of the first entry that matches; nothing is deployed if none does.
func (v *View) first(c Cluster) Effect {
	for i, m := range v.entries {
		if m.matches(c) && m.target.DoNotDeploy {
			return v.off([]int{i})
		}
		if m.matches(c) {
			v.apply = append(v.apply[:0], i)
			return v.merged(v.apply)
		}
	}
	return Effect{Why: "not deployed: no entry selects it, and there are no other targets"}
}

// off is the effect of entries of which the last says doNotDeploy.
func (v *View) off(apply []int) Effect {
	name := v.f.entryName(apply[len(apply)-1])
	return Effect{Entries: slices.Clone(apply), Why: fmt.Sprintf("not deployed: entry %q says doNotDeploy", name)}
}

// merged is the effect of these entries over the base; clusters with the same entries share it.
func (v *View) merged(apply []int) Effect {
	v.key = v.key[:0]
	for _, at := range apply {
		v.key = append(strconv.AppendInt(v.key, int64(at), 10), ' ')
	}
	e, ok := v.cache[string(v.key)]
	if !ok {
		e = v.compute(slices.Clone(apply))
		v.cache[string(v.key)] = e
	}
	return e
}

func (v *View) compute(apply []int) Effect {
	e := Effect{Deployed: true, Why: v.f.why(apply), Entries: apply, Found: true}
	custom := options{}
	for _, i := range apply {
		custom = merge(custom, v.f.spec.TargetCustomizations[i].options)
	}
	e.Unread = v.f.unreadBy(apply, custom, v.fields)
	root := v.f.spec.options
	root.ForceSyncGeneration = 0
	all := merge(root, custom)
	e.Nonce, e.KeepResources = all.ForceSyncGeneration, all.KeepResources
	all.ForceSyncGeneration = 0
	tree := toTree(all)
	for _, fl := range v.fields {
		version, ok := v.f.version(tree, fl)
		e.Found = e.Found && ok
		e.versions = append(e.versions, version)
	}
	for _, fl := range v.fields {
		if value, ok := lookup(tree, fl.path()); ok {
			tree = with(tree, fl.path(), fl.rest(value))
		}
	}
	for _, fl := range v.settings {
		leaf := v.f.setting(tree, fl)
		e.leaves, e.Settings = append(e.leaves, leaf), append(e.Settings, settingText(leaf))
	}
	for _, fl := range v.settings {
		if _, ok := lookup(tree, fl.path()); ok {
			tree = with(tree, fl.path(), nil)
		}
	}
	e.Version = strings.Join(slices.Compact(slices.Clone(e.versions)), ", ")
	e.Digest = digest(tree, v.rest)
	return e
}

// version is the field's value in merged options. A key of helm.templateValues replaces the whole value of that name
// (builder.go preprocessHelmValues), so that what stands below it does not reach the chart.
func (f *File) version(tree any, fl Field) (string, bool) {
	value := f.setting(tree, fl)
	if value == nil {
		return "", false
	}
	return fl.versionIn(text(value))
}

// setting is the scalar at a field in merged options, as Fleet reads it; nil if there is none.
func (f *File) setting(tree any, fl Field) any {
	p := fl.path()
	if len(p) > 2 && p[1] == "values" {
		if _, hidden := lookup(tree, []string{"helm", "templateValues", p[2]}); hidden {
			return nil
		}
	}
	value, _ := lookup(tree, p)
	switch value.(type) {
	case map[string]any, []any:
		return nil
	}
	return value
}

// rest is what a field's value says besides the version: nil, its format, or all of it if it has another format.
func (f Field) rest(value any) any {
	_, ok := f.versionIn(text(value))
	if _, _, whole := f.format(); whole {
		return nil
	}
	if ok {
		return f.render(placeholder)
	}
	return value
}

func (f *File) why(apply []int) string {
	if len(apply) == 0 {
		return "gets the base values: no entry selects it"
	}
	names := make([]string, len(apply))
	for i, at := range apply {
		names[i] = fmt.Sprintf("%q", f.entryName(at))
	}
	if len(names) == 1 {
		return "gets entry " + names[0]
	}
	return "gets entries " + strings.Join(names, ", ")
}

// restDigest covers what reaches every cluster without being merged: the root's other keys, and the namespace labels and
// annotations of all entries. The bundle's name is in it; a new name is a new bundle.
func (f *File) restDigest() string {
	rest := map[string]any{}
	for k, v := range f.raw {
		rest[k] = v
	}
	for _, k := range []string{"targetCustomizations", "overrideTargets", "helm", "kustomize", "yaml", "diff", nonceKey} {
		delete(rest, k)
	}
	var leaks []any
	for _, t := range f.spec.TargetCustomizations {
		if t.NamespaceLabels != nil || t.NamespaceAnnotations != nil {
			leaks = append(leaks, t.NamespaceLabels, t.NamespaceAnnotations)
		}
	}
	return digest(rest, leaks)
}

// toTree is a value as generic maps, as JSON gives it.
func toTree(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return nil // values came out of JSON, so they go back into it
	}
	var tree any
	if json.Unmarshal(b, &tree) != nil {
		return nil
	}
	return tree
}

// digest hashes values by their JSON, in which maps are sorted.
func digest(values ...any) string {
	h := sha256.New()
	for _, v := range values {
		b, _ := json.Marshal(v) // as in toTree
		h.Write(b)
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}
