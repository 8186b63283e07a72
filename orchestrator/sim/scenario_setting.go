package sim

import "rollout/rings"

// drawnSetting is the setting that services of some scenarios have.
const drawnSetting rings.SettingName = "replicas"

// settings gives some services of some scenarios a setting: "2" before, and "3"
// where it is planned, which may be without a version.
func (d drawing) settings() {
	if d.one(3) > 0 {
		return
	}
	for i := range d.App.Services {
		if d.chance(2) {
			d.setting(&d.App.Services[i])
		}
	}
}

func (d drawing) setting(s *rings.Service) {
	d.use("setting")
	s.Settings = []rings.Setting{{Name: drawnSetting, Field: "helm.values.replicas", Type: rings.SettingInt}}
	e, planned := d.App.Plan[s.Name]
	wanted := planned && d.one(3) > 0
	all := entries([]byte(d.Files[s.Name]))
	for ring, is := range all {
		known, recorded := s.Known[ring]
		if is.replicas = "2"; wanted && known.Verified != "" {
			is.replicas = "3"
		}
		if recorded {
			known.Settings = rings.Values{drawnSetting: is.replicas}
			s.Known[ring] = known
		}
		all[ring] = is
	}
	d.Files[s.Name] = fileOf(d.App, s.Name, all)
	if !wanted {
		return
	}
	d.use("setting-planned")
	e.Settings = map[rings.SettingName]rings.PlanValue{drawnSetting: {Value: "3"}}
	if d.chance(4) {
		d.use("setting-alone")
		e.Version = ""
	}
	d.App.Plan[s.Name] = e
}
