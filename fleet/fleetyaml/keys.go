package fleetyaml

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"rollout/rings"
)

// The keys that Fleet 0.16 reads, from the json tags in pkg/apis/fleet.cattle.io/v1alpha1: FleetYAML with BundleSpec and
// ObjectMeta (bundlereader/read.go readMetadata), BundleTarget, BundleDeploymentOptions, HelmOptions.
var (
	optionKeys = strings.Fields(`defaultNamespace namespace helm kustomize yaml serviceAccount forceSyncGeneration diff
		keepResources deleteNamespace ignore correctDrift namespaceLabels namespaceAnnotations deleteCRDResources
		downstreamResources overwrites allowedTargetNamespaceSelector`)
	rootKeys = slices.Concat(optionKeys, strings.Fields(`name labels annotations paused rolloutStrategy resources
		targetCustomizationMode targets targetRestrictions dependsOn contentsId helmOpOptions valuesHash targetCustomizations
		imageScans overrideTargets`))
	criteriaKeys = strings.Fields(`name clusterName clusterSelector clusterGroup clusterGroupSelector`)
	entryKeys    = slices.Concat(optionKeys, criteriaKeys, []string{"doNotDeploy"})
	helmKeys     = strings.Fields(`chart repo releaseName version timeoutSeconds values templateValues valuesFrom valuesFiles
		force takeOwnership maxHistory waitForJobs atomic disablePreProcess disableDNS skipSchemaValidation
		disableDependencyUpdate`)
	// metadataKeys are read from the root, too, but nobody means to write them.
	metadataKeys = strings.Fields(`generateName selfLink uid resourceVersion generation creationTimestamp
		deletionTimestamp deletionGracePeriodSeconds ownerReferences finalizers managedFields apiVersion kind metadata`)
)

// knownLevels calls fn for each mapping whose keys are Fleet's: the root, the entries, and the helm blocks of both.
func (f *File) knownLevels(fn func(n *yaml.Node, entry string, known []string)) {
	visit := func(n *yaml.Node, entry string, known []string) {
		if n = resolve(n); n != nil && n.Kind == yaml.MappingNode {
			fn(n, entry, known)
		}
	}
	visit(f.root, "", rootKeys)
	visit(child(f.root, "helm"), "", helmKeys)
	for i, n := range f.entries {
		visit(n, f.entryName(i), entryKeys)
		visit(child(n, "helm"), f.entryName(i), helmKeys)
	}
}

// unknownKeys warns of keys that Fleet ignores: it reads the file leniently (bundlereader/read.go:157), so that a typo
// switches an option off without a word. Keys that only hold anchors, and `x-` keys, are meant to be ignored.
func (f *File) unknownKeys() []Finding {
	var found []Finding
	used := aliases(f.root)
	f.knownLevels(func(n *yaml.Node, entry string, known []string) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if !unknown(k, known) || holdsAnchor(n.Content[i+1], used) {
				continue
			}
			w := Finding{Severity: Warning, Code: CodeUnknownKey, Line: k.Line, Entry: entry,
				Msg: "key \"" + k.Value + "\" means nothing to Fleet: it is ignored"}
			if near := rings.Nearest(k.Value, known); near != "" {
				w.Hint = "did you mean " + near + "?"
			}
			found = append(found, w)
		}
	})
	return found
}

func unknown(k *yaml.Node, known []string) bool {
	if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" || strings.HasPrefix(k.Value, "x-") || slices.Contains(metadataKeys, k.Value) {
		return false
	}
	return !slices.ContainsFunc(known, func(s string) bool { return strings.EqualFold(s, k.Value) })
}

func holdsAnchor(n *yaml.Node, used map[*yaml.Node]*yaml.Node) bool {
	holds := false
	each(n, func(n *yaml.Node) { holds = holds || used[n] != nil })
	return holds
}
