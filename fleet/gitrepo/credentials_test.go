package gitrepo_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollout/orchestrator"
)

const secret = "s3cr3t-t0ken"

func (s *site) homeFile(name, text string, mode os.FileMode) string {
	s.t.Helper()
	file := filepath.Join(s.home, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func TestPublisher_credentials(t *testing.T) {
	helper := "#!/bin/sh\n[ \"$1\" = get ] || exit 0\necho username=ci\necho password=" + secret + "\n"
	tests := map[string]struct {
		env   []string
		netrc string
		asks  bool // a credential helper is set up
	}{
		"environment":           {env: []string{"ROLLOUT_GIT_USERNAME", "ci", "ROLLOUT_GIT_PASSWORD", secret}},
		"token of the host":     {env: []string{"ROLLOUT_GIT_USERNAME", "ci", "ROLLOUT_GIT_TOKEN", "example.com=x, 127.0.0.1=" + secret}},
		"token":                 {env: []string{"ROLLOUT_GIT_USERNAME", "ci", "ROLLOUT_GIT_TOKEN", secret}},
		"netrc":                 {netrc: "# mine\nmachine example.com login x password y\nmachine 127.0.0.1\n  login ci\n  password " + secret + "\nmacdef init\nmachine 127.0.0.1 login no\n\n"},
		"netrc default":         {netrc: "machine example.com login x password y\ndefault login ci password " + secret},
		"helper":                {asks: true},
		"wrong ones, then ours": {env: []string{"ROLLOUT_GIT_PASSWORD", "old"}, netrc: "machine 127.0.0.1 login ci password older", asks: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "fleet.yaml", fleetYAML)
			s.lock("ci", secret)
			if tt.netrc != "" {
				s.homeFile(".netrc", tt.netrc, 0o600)
			}
			if tt.asks {
				s.homeFile(".gitconfig", fmt.Sprintf("[credential]\n\thelper = %s\n", s.homeFile("helper", helper, 0o700)), 0o600)
			}
			p := s.publisher(tt.env...)
			ok(t, p.Publish(t.Context(), s.job(item("db", "v2", 1, s.tip()))))
			s.requests()
			ok(t, p.Survey(t.Context(), s.job(orchestrator.Item{Service: "db"})))
			if got := s.requests(); len(got) != 1 {
				t.Errorf("requests %v: want one, with the credential that worked", got)
			}
		})
	}
}

func TestPublisher_credentials_refused(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	s.lock("ci", "something else")
	s.homeFile(".netrc", "machine 127.0.0.1 login ann password "+secret, 0o600)
	p := s.publisher("ROLLOUT_GIT_USERNAME", "ci", "ROLLOUT_GIT_PASSWORD", secret+"2")
	j := s.job(item("db", "v2", 1, s.tip()))
	target := j.Targets["db"]
	target.Repo = strings.Replace(s.url, "http://", "http://ann:"+secret+"@", 1)
	j.Targets["db"] = target
	o := p.Publish(t.Context(), j)
	refused(t, o, orchestrator.Refused, orchestrator.CodeAuth, "tried in this order: ROLLOUT_GIT_PASSWORD (user \"ci\": refused); ",
		".netrc (user \"ann\": refused); no credentials; git credential fill (has none for the host)", "git ls-remote "+s.url)
	if all := fmt.Sprintf("%+v", o); strings.Contains(all, secret) {
		t.Errorf("a credential leaks: %s", all)
	}
	if err := p.CheckPush(t.Context(), target.Repo, "main"); err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
		t.Errorf("got %#v", err)
	}
}

// A secret that changed is looked for anew.
func TestPublisher_credentials_rotated(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	s.lock("ci", "old")
	s.homeFile(".netrc", "machine 127.0.0.1 login ci password old", 0o600)
	p, j := s.publisher(), s.job(orchestrator.Item{Service: "db"})
	ok(t, p.Survey(t.Context(), j))
	s.lock("ci", secret)
	s.homeFile(".netrc", "machine 127.0.0.1 login ci password "+secret, 0o600)
	ok(t, p.Survey(t.Context(), j))
}

// Nothing of a credential is written into the mirrors' folder, whatever the
// URL holds.
func TestPublisher_credentials_notStored(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	s.lock("ci", secret)
	dir := t.TempDir()
	p := s.open(dir, "ROLLOUT_GIT_USERNAME", "ci", "ROLLOUT_GIT_PASSWORD", secret)
	j := s.job(orchestrator.Item{Service: "db"})
	target := j.Targets["db"]
	target.Repo = strings.Replace(s.url, "http://", "http://ci:"+secret+"@", 1)
	j.Targets["db"] = target
	ok(t, p.Survey(t.Context(), j))
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if strings.Contains(string(text)+name, secret) {
			t.Errorf("%s holds the secret", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
