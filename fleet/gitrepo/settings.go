package gitrepo

import (
	"slices"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
)

// takeSettings notes the values that an expected cluster gets.
func (s *state) takeSettings(q *query, e fleetyaml.Effect) {
	if len(q.target.Settings) > 0 && s.values == nil {
		s.values = map[rings.SettingName][]string{}
	}
	for i, o := range q.target.Settings {
		s.values[o.Name] = append(s.values[o.Name], e.Settings[i])
	}
}

// sumSettings says which values all expected clusters have in common.
func (s *state) sumSettings() {
	for name, values := range s.values {
		slices.Sort(values)
		values = slices.Compact(values)
		if len(values) == 1 && values[0] != "" {
			s.settings = s.settings.With(rings.Values{name: values[0]})
			continue
		}
		if s.unsettled == nil {
			s.unsettled = map[rings.SettingName][]string{}
		}
		s.unsettled[name] = slices.DeleteFunc(values, func(v string) bool { return v == "" })
	}
}
