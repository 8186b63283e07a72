package appfile

import (
	"fmt"
	"strings"
	"time"

	"rollout/rings"
)

// wordWait is the word for what becomes of a release by default.
const wordWait = "wait"

func trainOf(s rings.Schedule) Train {
	t := Train{Cron: s.Cron, TimeZone: s.Zone, Within: Span(s.Within)}
	if t.TimeZone == "UTC" {
		t.TimeZone = ""
	}
	return t
}

func (r Ring) starts() rings.Starts {
	s := rings.Starts{OnRelease: choice(r.OnRelease, wordWait)}
	if r.Train.Cron != "" {
		s.Train = rings.Schedule{Cron: r.Train.Cron, Zone: or(r.Train.TimeZone, "UTC"), Within: time.Duration(r.Train.Within)}
	}
	return s
}

// newStarts is what starts by itself, beside the defaults: "train 0 6 * * * UTC".
func newStarts(s rings.Starts) []string {
	return startsWords(rings.Starts{}, s, func(name, _, to string) string { return name + " " + to })
}

// startsChanges is what differs: "onRelease wait -> start".
func startsChanges(from, to rings.Starts) []string {
	return startsWords(from, to, func(name, from, to string) string { return fmt.Sprintf("%s %s -> %s", name, from, to) })
}

func startsWords(from, to rings.Starts, words func(name, from, to string) string) []string {
	var out []string
	if x, y := trainWords(from.Train), trainWords(to.Train); x != y {
		out = append(out, words("train", x, y))
	}
	if from.OnRelease != to.OnRelease {
		out = append(out, words("onRelease", or(string(from.OnRelease), wordWait), or(string(to.OnRelease), wordWait)))
	}
	return out
}

func trainWords(s rings.Schedule) string {
	words := strings.TrimSpace(s.String())
	if s.Within != 0 {
		words += " within " + Span(s.Within).String()
	}
	return or(words, "none")
}
