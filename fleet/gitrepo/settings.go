package gitrepo

import (
	"slices"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
)

// settingFields are the places of all settings of the query's service.
func (q *query) settingFields() []fleetyaml.Field {
	var out []fleetyaml.Field
	for _, s := range q.target.Settings {
		out = append(out, fleetyaml.Field(s.Field))
	}
	return out
}

// wanted are the settings that the query's item writes; the target has them all.
func (q *query) wanted() []fleetyaml.Setting {
	var out []fleetyaml.Setting
	for _, s := range q.target.Settings {
		if v, ok := q.item.Settings[s.Name]; ok {
			out = append(out, fleetyaml.Setting{Field: fleetyaml.Field(s.Field), Type: s.Type, Value: v})
		}
	}
	return out
}

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

// only are those of the values that are asked for.
func only(values, asked rings.Values) rings.Values {
	var out rings.Values
	for name := range asked {
		if v, ok := values[name]; ok {
			out = out.With(rings.Values{name: v})
		}
	}
	return out
}
