package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"rollout/rings"
	"rollout/rings/appfile"
)

// lookAtHolds reads the application's locks and windows, and checks the time
// zones of the file's.
func (ap *applier) lookAtHolds(ctx context.Context) (err error) {
	var faults []error
	for _, w := range ap.file.WindowsOf() {
		faults = append(faults, w.Validate(time.LoadLocation))
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	ap.state.Now = ap.now()
	if ap.state.App == nil {
		return nil
	}
	if ap.state.Locks, err = ap.db.Locks(ctx, ap.file.Name, ap.state.Now); err != nil {
		return err
	}
	ap.state.Windows, err = ap.db.Windows(ctx, ap.file.Name)
	return err
}

// carryHold makes a change of locks, windows or groups.
func (ap *applier) carryHold(ctx context.Context, c appfile.Change) error {
	who, now := ap.actor(ctx), ap.now().UTC()
	switch c.Kind {
	case appfile.SetLock:
		c.Lock.By, c.Lock.At = who, now
		return ap.db.Lock(ctx, c.Lock)
	case appfile.RemoveLock:
		_, err := ap.db.Unlock(ctx, c.Lock)
		return err
	case appfile.SetWindow:
		c.Window.By, c.Window.At = who, now
		return ap.db.SetWindow(ctx, c.Window)
	case appfile.RemoveWindow:
		_, err := ap.db.RemoveWindow(ctx, ap.file.Name, c.Window.Name)
		return err
	}
	c.Group.By, c.Group.At = who, now
	return ap.update(ctx, func(a *rings.Application) error { return setGroup(a, c.Group, c.Kind == appfile.RemoveGroup) })
}

// setGroup puts the group in the place of the one of its name, or takes it away.
func setGroup(a *rings.Application, g rings.Group, remove bool) error {
	i := slices.IndexFunc(a.Groups, func(old rings.Group) bool { return old.Name == g.Name })
	switch {
	case remove && i >= 0:
		a.Groups = slices.Delete(a.Groups, i, i+1)
	case remove:
	case i < 0:
		a.Groups = append(a.Groups, g)
	default:
		a.Groups[i] = g
	}
	return nil
}

// foreseeSettings checks the settings that change against what there is.
func (ap *applier) foreseeSettings(ctx context.Context, c appfile.Change) error {
	_, err := ap.withSettings(ctx, ap.db, ap.state.App, c.Service.Name, c.Service.Settings)
	return err
}

func (ap *applier) setSettings(ctx context.Context, s rings.Service) error {
	a, err := ap.db.App(ctx, ap.file.Name)
	if err != nil {
		return err
	}
	found, err := ap.withSettings(ctx, ap.db, a, s.Name, s.Settings)
	if err != nil {
		return err
	}
	return setSettings(ctx, ap.db, a.Name, found)
}
