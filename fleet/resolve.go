package fleet

import (
	"slices"
)

// setBundle takes a Bundle of one of the watched GitRepos.
func (t *tracker) setBundle(b bundle) {
	old, known := t.bundles[b.name]
	if known && old == b {
		return
	}
	t.bundles[b.name] = b
	t.nonces[b.name] = max(t.nonces[b.name], b.nonce)
	if !known || old.repo != b.repo {
		t.resolve(b.repo.String())
		t.resolve(old.repo.String())
	}
	t.touchBundle(b.name)
}

func (t *tracker) deleteBundle(name text) {
	if b, known := t.bundles[name]; known {
		delete(t.bundles, name)
		t.touchBundle(name)
		t.resolve(b.repo.String())
	}
}

// resolve finds the Bundles of the GitRepo's services anew.
func (t *tracker) resolve(repo string) {
	if len(t.byRepo[repo]) == 0 {
		return
	}
	var names []string
	for name, b := range t.bundles {
		if b.repo.String() == repo {
			names = append(names, name.String())
		}
	}
	for _, i := range t.byRepo[repo] {
		s := t.services[i]
		name, err := pickBundle(repo, s.target.Path, s.target.Bundle, names, t.repos[repo].listed())
		if found := intern(name); found != s.bundle {
			t.rename(i, found)
		}
		if errorText(err) != errorText(s.err) {
			t.dirty.bundles[i] = true
		}
		s.err = err
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// rename makes another Bundle the service's: all facts about it are news.
func (t *tracker) rename(i int, to text) {
	s := t.services[i]
	t.byBundle[s.bundle] = slices.DeleteFunc(t.byBundle[s.bundle], func(j int) bool { return i == j })
	if to != (text{}) {
		t.byBundle[to] = append(t.byBundle[to], i)
	}
	for cluster := range t.members {
		_, had := t.deployments[key{s.bundle, cluster}]
		_, has := t.deployments[key{to, cluster}]
		if had || has {
			t.dirty.deployment(i, cluster, true)
		}
	}
	s.bundle = to
	t.dirty.bundles[i] = true
}
