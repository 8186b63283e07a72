package sim

import (
	"slices"

	"rollout/rings"
)

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
