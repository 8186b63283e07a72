package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/rings/appfile"
	"rollout/store"
)

// Exit codes. They are a contract, and `rollout help exit-codes` lists them.
const (
	exitDone        = 0
	exitUnexpected  = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4
	exitInvalid     = 5
	exitFailed      = 6
	exitCancelled   = 7
	exitTimeout     = 8
	exitInterrupted = 130
)

const exitCodes = `   0  done
   1  something unexpected, or git or Fleet cannot be used
   2  the command line is wrong, or a question could not be asked
   3  not found
   4  conflict: it exists already or others need it; another rollout, claim, lock, closed window or change by hand is in the way; the store is busy
   5  invalid input: names, plan, cycle, fleet.yaml, a ring without clusters, another manager than the application's
   6  the rollout failed, or was rolled back
   7  the rollout was cancelled
   8  the timeout passed, or the rollout is paused or waits for a person
 130  interrupted`

// usageError is about the command line.
type usageError struct{ what, hint string }

// Error says what is wrong with the command line.
func (e *usageError) Error() string { return e.what }

// commandError is an error that a command knows the code and the hint of.
type commandError struct {
	exit int
	code string
	what string
	hint string
	err  error // the cause, or nil
}

// Error says what went wrong; the hint is apart.
func (e *commandError) Error() string { return e.what }

// Unwrap returns the cause, which may be nil.
func (e *commandError) Unwrap() error { return e.err }

func conflict(hint, format string, args ...any) error {
	return &commandError{exit: exitConflict, code: "conflict", what: fmt.Sprintf(format, args...), hint: hint}
}

func invalid(hint, format string, args ...any) error {
	return &commandError{exit: exitInvalid, code: "invalid", what: fmt.Sprintf(format, args...), hint: hint}
}

func notFound(hint, format string, args ...any) error {
	return &commandError{exit: exitNotFound, code: "not-found", what: fmt.Sprintf(format, args...), hint: hint}
}

// verdict is what the program makes of an error.
type verdict struct {
	exit int
	code string
	hint string
}

// rule is a row of the table: what an error wraps, and what follows from it.
type rule struct {
	is   error
	exit int
	code string
	hint string
}

// rules is the table of what errors wrap; the first that fits counts.
var rules = []rule{
	{context.Canceled, exitInterrupted, "interrupted", ""},
	{store.ErrBusy, exitConflict, "store-busy", "try again; \"rollout list\" shows who drives what"},
	{store.ErrReadOnly, exitUnexpected, "store-read-only", "make the file and its folder writable, or name another with --store"},
	{store.ErrNoSpace, exitUnexpected, "store-no-space", "make room, then run the command again; nothing was written"},
	{store.ErrTooNew, exitConflict, "store-newer", "use the version of rollout that wrote it, or a newer one"},
	{store.ErrCorrupt, exitUnexpected, "store-corrupt", "\"rollout store check\" says what is wrong; put a backup in its place, or name another with --store"},
	{store.ErrEnded, exitConflict, "ended", "\"rollout history\" shows how it ended"},
	{rings.ErrCycle, exitInvalid, "cycle", "leave one of these dependencies out"},
	{rings.ErrExists, exitConflict, "exists", "choose another name, or go on with the one that is there"},
	{rings.ErrInUse, exitConflict, "in-use", ""},
	{rings.ErrUnknown, exitNotFound, "not-found", ""},
	{orchestrator.ErrNotFound, exitNotFound, "not-found", "\"rollout history\" shows the rollouts that there are"},
	{orchestrator.ErrNewerJournal, exitConflict, "store-newer", "use the version of rollout that wrote it, or a newer one"},
	{store.ErrReleaseDiffers, exitConflict, "release-differs", "choose another --key, or make the content the same"},
	{orchestrator.ErrUnverified, exitConflict, "unverified", "roll the ring before it out first, or go over that with --override --reason WORDS"},
	{orchestrator.ErrHeld, exitConflict, "held", "--reason WORDS starts it again nevertheless"},
	{orchestrator.ErrLeased, exitConflict, "driven", "\"rollout list\" shows who drives what"},
	{fleet.ErrNoKubeconfig, exitUsage, "no-kubeconfig", "name the manager with --kubeconfig FILE, --context NAME or KUBECONFIG"},
	{fleet.ErrCredentials, exitUnexpected, "credentials", "log in to the manager again, or name another kubeconfig with --kubeconfig"},
	{fleet.ErrNoFleet, exitUnexpected, "no-fleet", "name the cluster that Fleet's manager runs on with --context or --kubeconfig"},
	{fleet.ErrNoWorkspace, exitNotFound, "no-workspace", "\"kubectl get namespaces\" shows them; name it with --namespace"},
	{fleet.ErrForbidden, exitUnexpected, "forbidden", "the README has a manifest with all the permissions"},
	{fleet.ErrUnreachable, exitUnexpected, "unreachable", "see that \"kubectl get --raw /healthz\" works with this kubeconfig"},
	{fleet.ErrLabelsOwned, exitConflict, "labels-owned", "see whether Rancher is up, then run the command again"},
	{fleet.ErrClaimLost, exitConflict, "claim-lost", "see who else rolls out there, then try again"},
}

// outcomeExits are the exit codes of what git and Fleet refused; those that are
// not here are unexpected.
var outcomeExits = map[orchestrator.Code]int{
	orchestrator.CodeNotFound: exitNotFound,
	orchestrator.CodeFile:     exitInvalid,
	orchestrator.CodeTargets:  exitInvalid,
	orchestrator.CodeConflict: exitConflict,
	orchestrator.CodeClaimed:  exitConflict,
	orchestrator.CodeManual:   exitConflict,
}

// classify says which exit code an error is, by what name scripts know it, and
// what would help.
func classify(err error) verdict {
	var usage *usageError
	var command *commandError
	var git *gitrepo.Error
	var busy *store.RingBusyError
	var halted *store.HaltedError
	var barred *orchestrator.BarredError
	var owned *fleet.LabelsOwnedError
	var access *fleet.AccessError
	var registered *fleet.RegisteredError
	var fault *fleetyaml.Error
	var faults *rings.InvalidError
	var used *rings.InUseError
	var file *appfile.Error
	switch {
	case errors.As(err, &usage):
		return verdict{exitUsage, "usage", usage.hint}
	case errors.As(err, &command):
		return verdict{command.exit, command.code, command.hint}
	case errors.As(err, &busy):
		return verdict{exitConflict, "ring-busy", fmt.Sprintf("\"rollout watch %s\" follows it, \"rollout cancel %s\" ends it", busy.ID, busy.ID)}
	case errors.As(err, &halted):
		return verdict{exitConflict, "halted", fmt.Sprintf("\"%s\" lifts it", unhaltCommand(halted.Halt))}
	case errors.As(err, &barred):
		return classifyBarred(barred.Barriers)
	case errors.As(err, &used):
		return verdict{exitConflict, "in-use", inUseHint(used)}
	case errors.As(err, &owned):
		return verdict{exitConflict, "labels-owned", "set the labels there, or in Rancher: " + owned.Place()}
	case errors.As(err, &access):
		return verdict{exitInvalid, "access", access.Hint}
	case errors.As(err, &registered):
		return verdict{exitConflict, "registered", fmt.Sprintf("leave --register and --token out, or choose another name: \"kubectl get clusters.fleet.cattle.io %s -o yaml\" shows it", registered.Cluster)}
	case errors.As(err, &git):
		return classifyOutcome(git.Code, git.Hint)
	case errors.As(err, &fault):
		return verdict{exitInvalid, string(orchestrator.CodeFile), fault.Hint}
	case errors.As(err, &file):
		return verdict{exitInvalid, "invalid", "\"rollout schema\" prints what such a file may say"}
	case errors.As(err, &faults):
		return verdict{exitInvalid, "invalid", ""}
	}
	return classifyWrapped(err)
}

// classifyBarred says what would help against locks, windows, and a ring that
// freezes the one before it.
func classifyBarred(b rings.Barriers) verdict {
	if len(b.Locks) > 0 {
		return verdict{exitConflict, "locked", fmt.Sprintf("\"%s\" releases it, and --override --reason WORDS goes over it", b.Locks[0].Release())}
	}
	if len(b.Closed) == 0 && len(b.Frozen) > 0 {
		return verdict{exitConflict, "frozen", fmt.Sprintf("\"rollout watch %s\" follows it, and --override --reason WORDS goes over that", b.Frozen[0].Rollout)}
	}
	return verdict{exitConflict, "closed", "start it again when it is open, or go over that with --override --reason WORDS"}
}

func classifyOutcome(code orchestrator.Code, hint string) verdict {
	exit, ok := outcomeExits[code]
	if !ok {
		exit = exitUnexpected
	}
	return verdict{exit, string(code), hint}
}

func classifyWrapped(err error) verdict {
	for _, r := range rules {
		if errors.Is(err, r.is) {
			return verdict{r.exit, r.code, cmpHint(r.hint, unknownHint(err))}
		}
	}
	return verdict{exitUnexpected, "unexpected", ""}
}

func cmpHint(hints ...string) string {
	for _, h := range hints {
		if h != "" {
			return h
		}
	}
	return ""
}

// listCommands say how to list what a name of a kind may be.
var listCommands = map[string]string{
	"application": "rollout app list", "ring": "rollout ring list APP", "service": "rollout service list APP", "check": "rollout ring list APP", "window": "rollout window list APP",
	"rollout": "rollout history", "rollout or application": "rollout history", "cluster": "rollout cluster list", "event": "rollout log", "ring group": "rollout ring group list APP",
	"release": "rollout release list APP", "ring or rollout": "rollout ring list APP",
}

func unknownHint(err error) string {
	var unknown *rings.UnknownError
	if !errors.As(err, &unknown) {
		return ""
	}
	if _, workspace, ok := strings.Cut(unknown.Where, "workspace "); ok {
		return fmt.Sprintf("\"kubectl get %ss.fleet.cattle.io -n %s\" shows what there is", strings.ToLower(unknown.Kind), strings.Trim(workspace, `"`))
	}
	if listCommands[unknown.Kind] == "" {
		return ""
	}
	command := listCommands[unknown.Kind]
	if _, app, ok := strings.Cut(unknown.Where, "application "); ok {
		command = strings.ReplaceAll(command, "APP", strings.Trim(app, `"`))
	}
	return fmt.Sprintf("%q shows what there is", command)
}

// report prints the error as --output says and returns the exit code.
func (p *program) report(err error) int {
	v := classify(err)
	switch p.flags.output {
	case "json", "jsonl", "yaml":
		p.reportData(err, v)
	default:
		p.say("%s", p.style(p.errTerminal).bad("error: ")+err.Error())
		if v.hint != "" {
			p.say("hint: %s", v.hint)
		}
	}
	return v.exit
}

// failure is an error as scripts read it.
type failure struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint"`
	} `json:"error"`
}

func (p *program) reportData(err error, v verdict) {
	var f failure
	f.Error.Code, f.Error.Message, f.Error.Hint = v.code, err.Error(), v.hint
	e := json.NewEncoder(p.stderr)
	e.SetEscapeHTML(false)
	_ = e.Encode(f) // stderr is all there is to complain to
}
