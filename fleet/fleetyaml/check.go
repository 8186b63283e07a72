package fleetyaml

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// fileFaults are the faults of the file itself that make every edit unsafe, whatever is asked.
func (f *File) fileFaults() Faults {
	var fs Faults
	if f.fleetYML() {
		e := f.fault(CodeFileName, 0, "is named fleet.yml: Fleet counts it as the bundle's content, so that every edit redeploys every cluster")
		e.Hint = "rename it to fleet.yaml (git mv), once, and let that redeployment pass"
		fs = append(fs, e)
	}
	fs = append(fs, f.duplicateKeys()...)
	fs = append(fs, f.foldedKeys()...)
	fs = append(fs, f.targetFaults()...)
	if len(f.spec.ImageScans) > 0 {
		e := f.fault(CodeImageScan, f.keyLine("imageScans"), "has imageScans: Fleet commits versions to this repository, too")
		e.Hint = "remove imageScans; a version has one writer"
		fs = append(fs, e)
	}
	if len(f.entries) != len(f.spec.TargetCustomizations) {
		fs = append(fs, f.fault(CodeShared, f.keyLine("targetCustomizations"),
			"targetCustomizations does not stand in the file as Fleet reads it (a merge key, or a key in other letters)"))
	}
	return fs
}

// duplicateKeys finds keys that a mapping has twice. Fleet takes the last one without a word.
func (f *File) duplicateKeys() Faults {
	var fs Faults
	each(f.root, func(n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			return
		}
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode {
				continue
			}
			if line, ok := seen[k.Value]; ok {
				e := f.fault(CodeDuplicateKey, k.Line, "key %q is given twice, first on line %d; Fleet takes the last", k.Value, line)
				e.Hint = "remove one of them"
				fs = append(fs, e)
				continue
			}
			seen[k.Value] = k.Line
		}
	})
	return fs
}

// foldedKeys finds keys like `Helm` or `targetcustomizations`. Fleet's decoder ignores the case of keys (encoding/json), so
// that they count, and which of two wins is not defined.
func (f *File) foldedKeys() Faults {
	var fs Faults
	f.knownLevels(func(n *yaml.Node, entry string, known []string) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			for _, want := range known {
				if k.Value != want && strings.EqualFold(k.Value, want) {
					e := f.fault(CodeKeyCase, k.Line, "key %q is read as %q by Fleet", k.Value, want)
					e.Entry, e.Hint = entry, "write "+want
					fs = append(fs, e)
				}
			}
		}
	})
	return fs
}

// targetFaults are targets written so that Fleet no longer tells customizations from targets. It does so by their number:
// as many targets at the end of the list as there are restrictions (matcher/bundlematch.go:89-136, read.go:187,236-255).
func (f *File) targetFaults() Faults {
	var fs Faults
	add := func(key, msg string) {
		e := f.fault(CodeTargets, f.keyLine(key), "%s", msg)
		e.Hint = "put conditions into targetCustomizations, and targets into overrideTargets or the GitRepo"
		fs = append(fs, e)
	}
	if len(f.spec.Targets) > 0 {
		add("targets", "has `targets`: Fleet puts them before targetCustomizations, as entries that go first")
	}
	if len(f.spec.TargetRestrictions) > 0 {
		add("targetRestrictions", "has `targetRestrictions`, which Fleet keeps for itself: entries lose their meaning")
	}
	if f.spec.OverrideTargets != nil && len(f.spec.OverrideTargets) == 0 {
		add("overrideTargets", "has empty overrideTargets: without any target Fleet deploys to whatever the entries select")
	}
	switch m := f.spec.TargetCustomizationMode; m {
	case "", "FirstMatch", allMatches:
	default:
		e := f.fault(CodeSyntax, f.keyLine("targetCustomizationMode"), "targetCustomizationMode %q is unknown", m)
		e.Hint = "write FirstMatch or AllMatches"
		fs = append(fs, e)
	}
	return fs
}

// keyLine is the line of a root key; 0 if it is not written there.
func (f *File) keyLine(key string) int {
	if k, _ := pair(f.root, key); k != nil {
		return k.Line
	}
	return 0
}
