package sim

import (
	"slices"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
)

// settingFields are the places of the settings of the bundle's service.
func (b *bundle) settingFields() []fleetyaml.Field {
	var out []fleetyaml.Field
	for _, s := range b.service.Settings {
		out = append(out, fleetyaml.Field(s.Field))
	}
	return out
}

// wanted are the settings that the query's item writes.
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
func (s *state) takeSettings(declared []rings.Setting, e effect) {
	for i, o := range declared {
		value, first := e.Settings[i], len(s.expected) == 1
		if have, agrees := s.settings[o.Name]; value != "" && (first || agrees && have == value) {
			s.settings = s.settings.With(rings.Values{o.Name: value})
			continue
		}
		delete(s.settings, o.Name)
		if s.unsettled == nil {
			s.unsettled = map[rings.SettingName][]string{}
		}
		if value != "" && !slices.Contains(s.unsettled[o.Name], value) {
			s.unsettled[o.Name] = append(s.unsettled[o.Name], value)
		}
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
