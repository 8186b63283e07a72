package fleetyaml

import (
	"fmt"
	"math"
	"reflect"
	"strconv"

	"go.yaml.in/yaml/v3"

	"rollout/rings"
)

// Setting is a scalar beside the version that an edit sets. It keeps its type: 5 stays a number, and a string that looks
// like one stays in quotes.
type Setting struct {
	Field Field // below helm.values, without a format
	Type  rings.SettingType
	Value string // as rings.Setting.Parse gives it
}

// FieldsOf are the places of the settings that a service declares, in their order.
func FieldsOf(declared []rings.Setting) []Field {
	out := make([]Field, len(declared))
	for i, s := range declared {
		out[i] = Field(s.Field)
	}
	return out
}

// SettingsOf are those of the declared settings that have one of the values, as an edit takes them; none without values.
func SettingsOf(declared []rings.Setting, values rings.Values) []Setting {
	var out []Setting
	for _, s := range declared {
		if v, ok := values[s.Name]; ok {
			out = append(out, Setting{Field: Field(s.Field), Type: s.Type, Value: v})
		}
	}
	return out
}

// leaf is the value as Fleet reads it; ok is false for one that is not of the type.
func (s Setting) leaf() (leaf any, ok bool) {
	switch s.Type {
	case rings.SettingBool:
		return s.Value == "true", s.Value == "true" || s.Value == "false"
	case rings.SettingInt, rings.SettingNumber:
		n, err := strconv.ParseFloat(s.Value, 64)
		return n, err == nil && (s.Type == rings.SettingNumber || n == math.Trunc(n))
	case rings.SettingString:
		return s.Value, true
	}
	return nil, false
}

// settingText is a leaf in the form that rings.Setting.Parse gives it; "" for what is no scalar.
func settingText(leaf any) string {
	switch v := leaf.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// typeOf is the type that a leaf has by itself; "" for what is no scalar.
func typeOf(leaf any) rings.SettingType {
	switch v := leaf.(type) {
	case string:
		return rings.SettingString
	case bool:
		return rings.SettingBool
	case float64:
		if v == math.Trunc(v) {
			return rings.SettingInt
		}
		return rings.SettingNumber
	}
	return ""
}

// hasType reports whether a leaf can stand where the setting is.
func (s Setting) hasType(leaf any) bool {
	is := typeOf(leaf)
	return is == s.Type || is == rings.SettingInt && s.Type == rings.SettingNumber
}

// settingFields are the places of the settings.
func settingFields(settings []Setting) []Field {
	out := make([]Field, len(settings))
	for i, s := range settings {
		out[i] = s.Field
	}
	return out
}

// settingFaults are the settings that cannot be used, or not be written.
func (f *File) settingFaults(c Change) Faults {
	var fs Faults
	for _, s := range c.Settings {
		p := s.Field.path()
		_, _, whole := s.Field.format()
		if e := s.Field.Check(); e != nil || !whole || p[0] != "helm" || p[1] != "values" {
			fault := f.fault(CodeField, 0, "field %s cannot carry a setting", s.Field)
			fault.Field, fault.Hint = s.Field, "use a field below helm.values, without a format"
			fs = append(fs, fault)
			continue
		}
		if _, ok := s.leaf(); !ok {
			fs = append(fs, f.fault(CodeVersion, 0, "%q is not of type %s, which %s is", s.Value, s.Type, s.Field))
		}
		if why := checkVersion(s.Value); why != "" && s.Type == rings.SettingString {
			fs = append(fs, f.fault(CodeVersion, 0, "%s: %s", s.Field, why))
		}
	}
	return fs
}

// rawLeaf is what Fleet reads at a place of an entry.
func (f *File) rawLeaf(at int, fl Field) any {
	leaf, _ := lookup(f.raw, append([]string{"targetCustomizations", itoa(at)}, fl.path()...))
	return leaf
}

// collectSettings finds, for a cluster of the ring, the entries that its settings come from.
func (p *plan) collectSettings(e Effect, cluster string, misses map[miss][]string) {
	for _, s := range p.c.Settings {
		at, v := p.find(e.Entries, s.Field)
		if v.value == nil {
			m := missOf(e.Entries, s.Field)
			misses[m] = append(misses[m], cluster)
			continue
		}
		p.note(at, s.Field, v, cluster)
	}
}

func (p *plan) writeSetting(ep *entryPlan, s Setting, v place) {
	n, leaf := v.value, p.f.rawLeaf(ep.edit.Index, s.Field)
	start, end, ok := p.editable(ep, s.Field, v, "write the value on one line, plain or in quotes")
	if !ok {
		return
	}
	if n.Style&yaml.TaggedStyle != 0 || !s.hasType(leaf) {
		p.refuse(ep, CodeScalar, s.Field, n.Line, fmt.Sprintf("%s is %s, which is not of type %s", s.Field, n.Value, s.Type),
			"write a value of that type, or name the type that it has")
		return
	}
	want, _ := s.leaf()
	ep.edit.Settings = append(ep.edit.Settings, FieldEdit{Field: s.Field, Line: n.Line, Old: settingText(leaf), New: s.Value})
	if reflect.DeepEqual(leaf, want) {
		ep.after[s.Field] = written{n.Value, want}
		return
	}
	ep.after[s.Field] = written{s.Value, want}
	token := s.Value
	if s.Type == rings.SettingString {
		token = quoteLike(n, s.Value, inFlow(v.chain))
	}
	p.splices = append(p.splices, splice{start, end, token})
}

// checkSettings holds what a cluster of the ring gets against the settings; nil if it gets them.
func (p *plan) checkSettings(b Effect) *Error {
	for i, s := range p.c.Settings {
		if want, _ := s.leaf(); !reflect.DeepEqual(b.leaves[i], want) {
			e := p.overridden(b)
			e.Field, e.Msg = s.Field, fmt.Sprintf("the clusters would still get %q of %s: a values file, helm.templateValues or a later entry overrides it",
				b.Settings[i], s.Field)
			e.Hint = "say the value in one place only"
			return e
		}
	}
	return nil
}

// probes are the settings with the type that they have now, where none is given, and with another value than now, for
// Inspect to try.
func (f *File) probes(view *View, c Change) []Setting {
	out := make([]Setting, len(c.Settings))
	for i, s := range c.Settings {
		var leaf any
		for _, cl := range c.Ring {
			if e := view.effect(cl); e.Deployed && leaf == nil {
				leaf = e.leaves[i]
			}
		}
		if s.Type == "" {
			s.Type = typeOf(leaf)
		}
		out[i] = s.probe(leaf)
	}
	return out
}

func (s Setting) probe(leaf any) Setting {
	switch v := leaf.(type) {
	case bool:
		s.Value = strconv.FormatBool(!v)
	case float64:
		s.Value = settingText(math.Trunc(v) + 1)
	default:
		s.Value = probe
	}
	if _, ok := s.leaf(); !ok { // it is of another type, or not there: that is the finding
		s.Value = map[rings.SettingType]string{rings.SettingBool: "true", rings.SettingInt: "1", rings.SettingNumber: "1"}[s.Type]
	}
	if s.Type == "" {
		s.Type, s.Value = rings.SettingString, probe
	}
	return s
}
