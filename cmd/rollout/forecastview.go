package main

import (
	"context"
	"fmt"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/forecast"
	"rollout/rings"
	"rollout/store"
)

// forecastView is when a rollout will probably have ended: in 80 of 100 cases
// between earliest and latest. Without a forecast these are null, and reason
// says why.
type forecastView struct {
	Earliest  *time.Time `json:"earliest"`
	Likely    *time.Time `json:"likely"`
	Latest    *time.Time `json:"latest"`
	Steps     int        `json:"steps"`     // of the past, that it is made from
	Approvals bool       `json:"approvals"` // a person must approve before the end; that time is not in it
	Signs     bool       `json:"signs"`     // a ring soaks before the end, and waits for a sign of every agent after that; that time is not in it
	Reason    string     `json:"reason"`
}

// showView is a rollout with a forecast of its end; null when it has ended.
type showView struct {
	rolloutView
	Forecast *forecastView `json:"forecast"`
}

// remembered is how many steps of a service on a ring a forecast looks back.
const remembered = 30

func pastOf(ctx context.Context, db *store.DB, app rings.AppName) (forecast.Past, error) {
	past, err := db.Durations(ctx, app, remembered)
	return past, err
}

func viewForecast(s *orchestrator.State, past forecast.Past, now time.Time) *forecastView {
	if s.Phase.Ended() {
		return nil
	}
	f, why := forecast.Of(s, past, now)
	return &forecastView{Earliest: instant(f.Earliest), Likely: instant(f.Likely), Latest: instant(f.Latest), Steps: f.Steps, Approvals: f.Approvals, Signs: f.Signs, Reason: why}
}

// forecastLine says when it will have ended, and how sure that is.
func (f frame) forecastLine(v *forecastView) string {
	switch {
	case v == nil:
		return ""
	case v.Reason != "":
		return f.style.dim("finish: no forecast: " + v.Reason)
	}
	words := "finish: likely " + f.ahead(*v.Likely)
	if v.Steps > 0 {
		words += fmt.Sprintf(", between %s and %s in 80%% of cases", f.ahead(*v.Earliest), f.ahead(*v.Latest))
	}
	if v.Approvals {
		words += ", without the time that approvals take"
	}
	if v.Signs {
		words += ", and then as soon as every agent was heard from after the soak"
	}
	if v.Steps > 0 {
		words += fmt.Sprintf(" (from %d steps)", v.Steps)
	}
	return f.style.dim(words)
}

// ahead is a time that is to come.
func (f frame) ahead(t time.Time) string {
	if f.relative {
		return "in " + orchestrator.Duration(t.Sub(f.now).Round(time.Second))
	}
	return stamp(t)
}
