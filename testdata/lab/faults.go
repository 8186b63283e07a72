package lab

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Kinds of requests that a GitFault can be limited to.
const (
	Fetch = "fetch"
	Push  = "push"
)

// Any stands for every repository, or for every GitRepo. A fault of one's own name goes before it.
const Any = "*"

// GitFault is what goes wrong with the fetches and pushes of a repository. Of Status, Hang, Refuse and Cut one is set; Delay
// goes with each of them, and alone.
type GitFault struct {
	// Only limits the fault to Fetch or Push. Empty: both. Refuse and Cut are for pushes anyway.
	Only string `json:"only,omitempty"`
	// Times is how many fetches or pushes it takes until the fault is over. 0: until it is lifted. Hang does not count.
	Times int `json:"times,omitempty"`
	// Delay holds a request back before anything else happens to it.
	Delay time.Duration `json:"delay,omitempty"`
	// Status is answered instead of doing anything: 401, 403, 500.
	Status int `json:"status,omitempty"`
	// Hang gives no answer until the fault is lifted or the client leaves.
	Hang bool `json:"hang,omitempty"`
	// Refuse lets the repository's pre-receive hook refuse every push with these words.
	Refuse string `json:"refuse,omitempty"`
	// Cut takes a push, and then cuts the connection instead of answering.
	Cut bool `json:"cut,omitempty"`
}

// meets tells whether a request runs into the fault: one that takes a push's objects into those that are about them, any
// other at its first request, in which the client asks what there is.
func (f GitFault) meets(kind string, takesPush bool) bool {
	return takesPush == (f.Refuse != "" || f.Cut) && (f.Only == "" || f.Only == kind)
}

// JobFault is what goes wrong with the Jobs of a GitRepo.
type JobFault struct {
	// Times is how many Jobs it takes until the fault is over. 0: until it is lifted.
	Times int `json:"times,omitempty"`
	// Delay holds a Job back before it clones, as a busy node would.
	Delay time.Duration `json:"delay,omitempty"`
	// Fail ends the Job as failed, with these words, before it does anything.
	Fail string `json:"fail,omitempty"`
}

// faults is DIR/faults.json. The programs that play along read it at every request, so a fault holds from the moment it is set.
type faults struct {
	Git  map[string]GitFault `json:"git"`
	Jobs map[string]JobFault `json:"jobs"`
}

// SetGitFault lets the requests for a repository (or Any) go wrong from now on, in place of an earlier fault.
func (l *Lab) SetGitFault(ctx context.Context, repo string, f GitFault) error {
	return updateFaults(ctx, l.dir, func(all *faults) { all.Git[repo] = f })
}

// SetJobFault lets the Jobs of a GitRepo (or Any) go wrong from now on, in place of an earlier fault.
func (l *Lab) SetJobFault(ctx context.Context, gitRepo string, f JobFault) error {
	return updateFaults(ctx, l.dir, func(all *faults) { all.Jobs[gitRepo] = f })
}

// ClearFaults lifts all faults. What hangs goes on.
func (l *Lab) ClearFaults(ctx context.Context) error {
	return updateFaults(ctx, l.dir, func(all *faults) { clear(all.Git); clear(all.Jobs) })
}

// takeGitFault returns the fault that a request runs into, and counts it. Without one it returns the zero GitFault.
func takeGitFault(ctx context.Context, dir, repo, kind string, takesPush bool) (f GitFault, err error) {
	err = updateFaults(ctx, dir, func(all *faults) {
		for _, name := range []string{repo, Any} {
			if candidate, found := all.Git[name]; found && candidate.meets(kind, takesPush) {
				f = candidate
				if !candidate.Hang {
					countDown(all.Git, name, &candidate, &candidate.Times)
				}
				return
			}
		}
	})
	return f, err
}

// takeJobFault returns the fault that a Job of the GitRepo runs into, and counts it. Without one it returns the zero JobFault.
func takeJobFault(ctx context.Context, dir, gitRepo string) (f JobFault, err error) {
	err = updateFaults(ctx, dir, func(all *faults) {
		for _, name := range []string{gitRepo, Any} {
			if candidate, found := all.Jobs[name]; found {
				f = candidate
				countDown(all.Jobs, name, &candidate, &candidate.Times)
				return
			}
		}
	})
	return f, err
}

// countDown takes one from the times of a fault and removes it after the last; one without times stays.
func countDown[F any](faults map[string]F, name string, f *F, times *int) {
	switch *times {
	case 0:
	case 1:
		delete(faults, name)
	default:
		*times--
		faults[name] = *f
	}
}

// stillHangs tells whether a request that hangs must go on hanging.
func stillHangs(dir, repo string) (bool, error) {
	all, err := readFaults(dir)
	return all.Git[repo].Hang || all.Git[Any].Hang, err
}

// updateFaults changes the file of faults.
func updateFaults(ctx context.Context, dir string, change func(*faults)) error {
	unlock, err := lockFile(ctx, filepath.Join(dir, ".faults.lock"))
	if err != nil {
		return err
	}
	return errors.Join(changeFaults(dir, change), unlock())
}

func changeFaults(dir string, change func(*faults)) error {
	all, err := readFaults(dir)
	if err != nil {
		return err
	}
	change(&all)
	return writeJSON(faultsPath(dir), all)
}

func faultsPath(dir string) string { return filepath.Join(dir, "faults.json") }

func readFaults(dir string) (faults, error) {
	all := faults{Git: map[string]GitFault{}, Jobs: map[string]JobFault{}}
	content, err := os.ReadFile(faultsPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return all, err
	}
	return all, json.Unmarshal(content, &all)
}
