package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"rollout/orchestrator"
	"rollout/rings"
)

// judge holds a server's answer against the check's threshold.
func judge(check rings.Check, body []byte) orchestrator.Outcome {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return silent("not an answer of Prometheus%s", after(first(plain(string(body)))))
	}
	if a.Status != "success" {
		return silent("%s", first(plain(a.fault())))
	}
	all, err := a.series()
	if err != nil {
		return silent("%s", first(plain(err.Error())))
	}
	t, err := count(check, all)
	if err != nil {
		return silent("%v", err)
	}
	return t.outcome(strings.TrimSpace(check.Threshold), a.Warnings)
}

// tally is how the series of an answer hold against a threshold.
type tally struct {
	all, bad, blank int
	worst           series // of those with a number
	firstBlank      series // of those without
}

func count(check rings.Check, all []series) (tally, error) {
	t := tally{all: len(all)}
	for _, s := range all {
		holds, err := check.Holds(s.value())
		switch {
		case err != nil:
			return t, err
		case math.IsNaN(s.value()):
			if t.blank++; t.blank == 1 {
				t.firstBlank = s
			}
			continue
		case !holds:
			t.bad++
		}
		if t.worst.Value == nil || check.Worse(s.value(), t.worst.value()) {
			t.worst = s
		}
	}
	return t, nil
}

// outcome is bad as soon as one value does not hold, and good only when every
// series has one and the server does not warn of its own answer.
func (t tally) outcome(threshold string, warnings []string) orchestrator.Outcome {
	switch {
	case t.all == 0:
		return silent("no data: the query returned no series")
	case t.bad > 0:
		return badly("%s is not %s: %s; %d of %d series do not hold", t.worst.text(), threshold, t.worst.name(), t.bad, t.all)
	case t.blank > 0:
		return silent("no number: %s; %d of %d series have none", t.firstBlank.name(), t.blank, t.all)
	}
	words := fmt.Sprintf("%s %s over %d series", t.worst.text(), threshold, t.all)
	if len(warnings) > 0 {
		return silent("%s, but the server warns: %s", words, first(plain(strings.Join(warnings, "; "))))
	}
	return well("%s", words)
}

// value is NaN for a series that has none.
func (s series) value() float64 {
	if s.Value == nil {
		return math.NaN()
	}
	return float64(*s.Value)
}

// text is the value for people, exact.
func (s series) text() string {
	if v := s.value(); v == 0 || math.Abs(v) >= 1e-6 && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(s.value(), 'g', -1, 64)
}

// name is the series as queries write it: up{instance="a", job="b"}.
func (s series) name() string {
	var labels []string
	for _, key := range slices.Sorted(maps.Keys(s.Metric)) {
		if key != "__name__" {
			labels = append(labels, fmt.Sprintf("%s=%q", key, s.Metric[key]))
		}
	}
	return first(plain(s.Metric["__name__"] + "{" + strings.Join(labels, ", ") + "}"))
}
