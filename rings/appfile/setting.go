package appfile

import (
	"fmt"
	"slices"
	"strings"

	"rollout/rings"
)

func settingsOf(all []rings.Setting) []Setting {
	var out []Setting
	for _, s := range all {
		out = append(out, Setting{Name: s.Name, Field: s.Field, Type: s.Type, Min: s.Min, Max: s.Max})
	}
	return out
}

func (s Service) settings() []rings.Setting {
	var out []rings.Setting
	for _, o := range s.Settings {
		out = append(out, rings.Setting{Name: o.Name, Field: o.Field, Type: o.Type, Min: o.Min, Max: o.Max})
	}
	return out
}

// typed are the services with a type for each setting, for checks: which one a
// setting without a type has is known when its value is looked at.
func typed(services []rings.Service) []rings.Service {
	out := slices.Clone(services)
	for i := range out {
		out[i].Settings = slices.Clone(out[i].Settings)
		for j := range out[i].Settings {
			if out[i].Settings[j].Type == "" {
				out[i].Settings[j].Type = rings.SettingInt
			}
		}
	}
	return out
}

// setSettings notes that a service's settings are others. A type that the file
// does not say is the stored one's.
func (d *Difference) setSettings(old, wanted rings.Service) {
	wanted.Settings = slices.Clone(wanted.Settings)
	for i, o := range wanted.Settings {
		if was, err := old.Setting(o.Name); err == nil && o.Type == "" && was.Field == o.Field {
			wanted.Settings[i].Type = was.Type
		}
	}
	from, to := settingWords(old.Settings), settingWords(wanted.Settings)
	if from != to {
		d.Changes = append(d.Changes, Change{Kind: SetSettings, Service: wanted,
			Words: []string{fmt.Sprintf("service %q: settings %s -> %s", wanted.Name, or(from, "none"), or(to, "none"))}})
	}
}

func settingWords(all []rings.Setting) string {
	var out []string
	for _, s := range all {
		out = append(out, strings.Join(strings.Fields(fmt.Sprintf("%s=%s %s %s", s.Name, s.Field, s.Type, s.Bounds())), " "))
	}
	return strings.Join(out, ", ")
}
