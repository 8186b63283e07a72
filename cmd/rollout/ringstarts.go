package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

const wordWait = "wait"

// startFlags are those of what starts on a ring without a person.
func startFlags() []policyFlag {
	return []policyFlag{
		{&cli.StringFlag{Name: "train", Usage: "`CRON` of when \"rollout run\" starts a train to it: minute hour day month weekday; \"\" takes it away"}, setTrain},
		{&cli.StringFlag{Name: "time-zone", Usage: "IANA `NAME` of the zone that --train is meant in", DefaultText: "UTC"}, func(c *cli.Context, r *rings.Ring) error {
			r.Starts.Train.Zone = c.String("time-zone")
			return nil
		}},
		{&cli.DurationFlag{Name: "train-within", Usage: "`TIME` after its moment until which a train that was missed, or that something was in the way of, still starts", DefaultText: "1h"}, func(c *cli.Context, r *rings.Ring) error {
			r.Starts.Train.Within = c.Duration("train-within")
			return nil
		}},
		{&cli.StringFlag{Name: "on-release", Usage: "`WHAT` becomes of a new release: wait for a person, or start, where \"rollout run\" starts it on this ring, the first one", DefaultText: wordWait}, func(c *cli.Context, r *rings.Ring) error {
			if r.Starts.OnRelease = rings.OnRelease(c.String("on-release")); r.Starts.OnRelease == wordWait {
				r.Starts.OnRelease = rings.ReleaseWait
			}
			return nil
		}},
	}
}

// setTrain comes before the other flags of the schedule.
func setTrain(c *cli.Context, r *rings.Ring) error {
	if c.String("train") == "" {
		r.Starts.Train = rings.Schedule{}
		return nil
	}
	if r.Starts.Train.Cron = c.String("train"); r.Starts.Train.Zone == "" {
		r.Starts.Train.Zone = "UTC"
	}
	return nil
}

// startsUsage is for the help of the commands that have the flags.
const startsUsage = `What starts by itself is started by "rollout run". --train is read on the clock on the wall of the zone, also when clocks are
changed: what falls into an hour that is skipped starts when the clock goes on, and in one that comes twice it starts once. Of
the starts that were missed, because nobody ran it or a lock, a closed window or another rollout was in the way, only the
last one is made up for, and only until --train-within has passed; then it is skipped, and "rollout app history" says why. Of
new releases only the newest starts, as soon as nothing is in the way. What came before the flag was set does not count.`

// newestRelease is the number of the application's newest release, 0 without
// one. One that comes after it was asked for counts as new.
func newestRelease(ctx context.Context, db *store.DB, app rings.AppName) (int, error) {
	page, err := db.Releases(ctx, app, 0, 1)
	if err != nil || len(page.Releases) == 0 {
		return 0, err
	}
	return page.Releases[0].Number, nil
}

// startsView is what starts on a ring without a person.
type startsView struct {
	Train     *scheduleView  `json:"train"`     // null: no train
	OnRelease string         `json:"onRelease"` // wait, start
	Last      *lastStartView `json:"last"`      // null: nothing yet
}

// scheduleView is when trains leave for a ring.
type scheduleView struct {
	Cron     string     `json:"cron"`
	TimeZone string     `json:"timeZone"`
	Within   string     `json:"within"`
	Next     *time.Time `json:"next"` // null: for as long as is looked, ten years
}

// lastStartView is what became of the last train or release.
type lastStartView struct {
	At      *time.Time      `json:"at"`
	Moment  *time.Time      `json:"moment"`  // of the train; null for a release
	Release int             `json:"release"` // 0 for a train
	Rollout orchestrator.ID `json:"rollout"` // that started; "" for none
	Reason  string          `json:"reason"`  // why none started
}

func viewStarts(r rings.Ring, now time.Time) startsView {
	v := startsView{OnRelease: word(r.Starts.OnRelease, wordWait)}
	if t := r.Starts.Train; t.Cron != "" {
		v.Train = &scheduleView{Cron: t.Cron, TimeZone: t.Zone, Within: orchestrator.Duration(t.Late()), Next: instant(nextTrain(r, now))}
	}
	if l := r.Kept.Last; l != nil {
		v.Last = &lastStartView{At: instant(l.At), Moment: instant(l.Moment), Release: l.Release, Rollout: orchestrator.ID(l.Rollout), Reason: l.Words}
	}
	return v
}

// nextTrain is zero when none is in sight: the store takes only zones that
// every program has.
func nextTrain(r rings.Ring, now time.Time) time.Time {
	if r.Kept.Until.After(now) {
		now = r.Kept.Until
	}
	next, _ := r.Starts.Train.Next(now, time.LoadLocation)
	return next
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// words are what differs from the default.
func (v startsView) words() []string {
	var out []string
	if v.Train != nil {
		out = append(out, fmt.Sprintf("train %q %s", v.Train.Cron, v.Train.TimeZone))
	}
	if v.OnRelease != wordWait {
		out = append(out, "on release "+v.OnRelease)
	}
	return out
}

// pairs are all that there is to say.
func (v startsView) pairs() []string {
	out := []string{"on release", v.OnRelease, "train", "none"}
	if t := v.Train; t != nil {
		out[3] = fmt.Sprintf("%q %s, at most %s late", t.Cron, t.TimeZone, t.Within)
		out = append(out, "next train", inBothZones(t))
	}
	if v.Last != nil {
		out = append(out, "last start", v.Last.words())
	}
	return out
}

// inBothZones is the next start in UTC and on the clock on the wall.
func inBothZones(t *scheduleView) string {
	if t.Next == nil {
		return "none in sight"
	}
	zone, err := time.LoadLocation(t.TimeZone)
	if err != nil || t.TimeZone == "UTC" {
		return stamp(*t.Next)
	}
	return fmt.Sprintf("%s (%s %s)", stamp(*t.Next), t.Next.In(zone).Format("Mon 2006-01-02 15:04"), t.TimeZone)
}

func (v *lastStartView) words() string {
	what := fmt.Sprintf("release %d", v.Release)
	if v.Moment != nil {
		what = "train of " + stamp(*v.Moment)
	}
	if v.Rollout != "" {
		return fmt.Sprintf("%s: %s", what, v.Rollout)
	}
	return fmt.Sprintf("%s: none: %s", what, v.Reason)
}
