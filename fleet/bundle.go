package fleet

import (
	"crypto/md5"
	"encoding/hex"
	"path"
	"regexp"
	"slices"
	"strings"
)

// agentBundle begins the names of the Bundles that deploy Fleet's own agents
// (internal/cmd/controller/agentmanagement/controllers/manageagent).
const agentBundle = "fleet-agent-"

// pickBundle says which of a GitRepo's Bundles is the one of a folder, "" if it
// is not there yet; see the package's doc for the rule. named is the `name:` of
// the fleet.yaml if it is known. listed are the GitRepo's paths.
func pickBundle(repo, dir, named string, names, listed []string) (string, error) {
	want := named
	if want == "" {
		want = BundleName(repo, dir)
	}
	if slices.Contains(names, want) {
		return want, nil
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.HasPrefix(n, agentBundle) })
	if named != "" || len(names) == 0 {
		return "", nil
	}
	if only := onlyOne(repo, dir, names, listed); only != "" {
		return only, nil
	}
	slices.Sort(names)
	return "", &BundleError{GitRepo: repo, Path: dir, Candidates: names}
}

// onlyOne returns the Bundle that can be no other folder's, or "". The folder
// must be one that the GitRepo lists: one that Fleet finds below a listed path
// may have no Bundle yet while another has.
func onlyOne(repo, dir string, names, listed []string) string {
	dir = cleanPath(dir)
	if len(listed) == 0 {
		listed = []string{"."}
	}
	if !slices.ContainsFunc(listed, func(p string) bool { return cleanPath(p) == dir }) {
		return ""
	}
	left := names
	if len(listed) > 1 {
		left = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return looksDerived(repo, n) })
	}
	if len(left) != 1 {
		return ""
	}
	return left[0]
}

// looksDerived reports whether the name may come from the GitRepo's and a path.
func looksDerived(repo, name string) bool {
	prefix := BundleName(repo, "")
	return name == prefix || strings.HasPrefix(name, prefix+"-")
}

// cleanPath is the folder as Fleet walks to it: relative to the repository's
// root, which is ".".
func cleanPath(p string) string { return path.Clean(strings.TrimLeft(p, "/")) }

// drivenPath is what takes a path's place for an item of spec.bundles
// (internal/cmd/cli/apply/apply.go:464-467).
func drivenPath(base, options string) string {
	return path.Join(base, strings.TrimSuffix(options, path.Ext(options)))
}

// BundleName is the name that Fleet gives the Bundle of a folder whose
// fleet.yaml has no `name:` (internal/cmd/cli/apply/apply.go:459-475,
// internal/names/name.go). It may only be used to choose among Bundles that
// exist.
func BundleName(gitRepo, dir string) string {
	id := path.Join(gitRepo, strings.TrimLeft(dir, "/"))
	s := strings.ReplaceAll(id, "/", "-")
	if s != strings.ToLower(s) || disallowed.MatchString(s) {
		s += "-" + md5Hex(s, 8)
	}
	s = disallowed.ReplaceAllLiteralString(strings.ToLower(s), "-")
	s = strings.Trim(dashes.ReplaceAllString(s, "-"), "-")
	if s == "" {
		return md5Hex(id, 24)
	}
	return limit(s, maxReleaseName)
}

// maxReleaseName is Helm's, MaxHelmReleaseNameLen in Fleet's types.
const maxReleaseName = 53

var (
	disallowed = regexp.MustCompile(`[^a-zA-Z0-9-]+`)
	dashes     = regexp.MustCompile(`-+`)
)

// limit is internal/names/name.go's Limit: what is too long ends in a hash.
func limit(s string, count int) string {
	if len(s) <= count {
		return s
	}
	kept := s[:count-6]
	return strings.TrimSuffix(kept, "-") + "-" + md5Hex(s, 5)
}

func md5Hex(s string, n int) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])[:n]
}
