package fleetyaml

import "strings"

// NamesChart reports whether the file, or an entry of it, says where the chart is: a folder, a repository or a URL. Without
// it, the bundle is a chart if its own folder has a Chart.yaml (bundlereader/style.go: chartPath).
func (f *File) NamesChart() bool {
	named := func(h *helm) bool { return h != nil && (h.Chart != "" || h.Repo != "") }
	for _, t := range f.spec.TargetCustomizations {
		if named(t.Helm) {
			return true
		}
	}
	return named(f.spec.Helm)
}

// NamesKustomization reports whether the file, or an entry of it, says where the kustomization is. Without it, the bundle
// is kustomized if its own folder has a kustomization.yaml (bundlereader/style.go: kustomizePath).
func (f *File) NamesKustomization() bool {
	for _, t := range f.spec.TargetCustomizations {
		if t.Kustomize != nil && t.Kustomize.Dir != "" {
			return true
		}
	}
	return f.spec.Kustomize != nil && f.spec.Kustomize.Dir != ""
}

// ReadByChart reports whether only a chart reads what the field says.
func (f Field) ReadByChart() bool { return strings.HasPrefix(f.Path(), "helm.") }
