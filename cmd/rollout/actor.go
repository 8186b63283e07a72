package main

import (
	"context"
	"os/exec"
	"os/user"
	"strings"
	"time"
)

// actorVariables are where CI systems say who started a run: GitHub, GitLab,
// Jenkins, CircleCI, Buildkite, Azure Pipelines, Bitbucket.
var actorVariables = []string{"GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID", "CIRCLE_USERNAME",
	"BUILDKITE_BUILD_CREATOR_EMAIL", "BUILD_REQUESTEDFOREMAIL", "BITBUCKET_STEP_TRIGGERER_UUID"}

// linkVariables are where CI systems say the address of a run.
var linkVariables = []string{"CI_JOB_URL", "CI_PIPELINE_URL", "BUILD_URL", "CIRCLE_BUILD_URL", "BUILDKITE_BUILD_URL"}

// actor is who does this, for the record.
func (p *program) actor(ctx context.Context) string {
	if p.flags.as != "" {
		return p.flags.as
	}
	for _, name := range append([]string{"ROLLOUT_ACTOR"}, actorVariables...) {
		if v := p.getenv(name); v != "" {
			return v
		}
	}
	if email := gitEmail(ctx); email != "" {
		return email
	}
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + p.host
}

// gitEmail is what git would put on a commit, "" if it does not know.
func gitEmail(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "git", "config", "--get", "user.email").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// link is the address of the run that does this, or "".
func (p *program) link() string {
	if p.flags.link != "" {
		return p.flags.link
	}
	for _, name := range linkVariables {
		if v := p.getenv(name); v != "" {
			return v
		}
	}
	server, repo, id := p.getenv("GITHUB_SERVER_URL"), p.getenv("GITHUB_REPOSITORY"), p.getenv("GITHUB_RUN_ID")
	if server == "" || repo == "" || id == "" {
		return ""
	}
	return server + "/" + repo + "/actions/runs/" + id
}
