package rings

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// SettingName is the name of a setting, unique in its service.
type SettingName string

// SettingType says how a setting's value is written and read.
type SettingType string

// Types of settings. A number may have a fraction.
const (
	SettingString SettingType = "string"
	SettingInt    SettingType = "int"
	SettingNumber SettingType = "number"
	SettingBool   SettingType = "bool"
)

// settingTypes are all types, as a person reads them.
var settingTypes = []SettingType{SettingInt, SettingNumber, SettingBool, SettingString}

// Setting is a place in a service's fleet.yaml, beside its version, whose value
// is planned and rolled out like the version.
type Setting struct {
	Name  SettingName `json:"name"`
	Field string      `json:"field"` // path in the ring's entry: helm.values.autoscaling.maxReplicas
	Type  SettingType `json:"type"`
	Min   *float64    `json:"min,omitempty"` // of an int or a number; nil for none
	Max   *float64    `json:"max,omitempty"`
}

// Values are values of a service's settings, each as its Setting writes it; a
// setting without an entry is not meant. The zero value is empty, to read from.
type Values map[SettingName]string

// Names returns the settings' names, sorted.
func (v Values) Names() []SettingName { return slices.Sorted(maps.Keys(v)) }

// String is the values as a person writes them: "maxReplicas=5 debug=true".
func (v Values) String() string {
	parts := make([]string, 0, len(v))
	for _, name := range v.Names() {
		parts = append(parts, fmt.Sprintf("%s=%s", name, v[name]))
	}
	return strings.Join(parts, " ")
}

// In reports whether have says all of the values.
func (v Values) In(have Values) bool {
	for name, value := range v {
		if got, ok := have[name]; !ok || got != value {
			return false
		}
	}
	return true
}

// With returns the values with the others over them; a new map, nil when there
// are none.
func (v Values) With(over Values) Values {
	if len(v)+len(over) == 0 {
		return nil
	}
	out := make(Values, len(v)+len(over))
	maps.Copy(out, v)
	maps.Copy(out, over)
	return out
}

// Only returns those of the values that the others have one for, too; a new map,
// nil when there are none.
func (v Values) Only(asked Values) Values {
	var out Values
	for name := range asked {
		if value, ok := v[name]; ok {
			out = out.With(Values{name: value})
		}
	}
	return out
}

// largestInt is up to where JSON, which Fleet reads values through, is exact.
const largestInt = 1 << 53

// settingName is what a setting may be called: like the last key of its path.
var settingName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)

// Validate returns an *InvalidError that names every fault, or nil. Whether a
// ring's entry has the field is not looked at.
func (s Setting) Validate() error {
	faults := []string{s.nameFault(), s.fieldFault(), s.typeFault()}
	if s.Min != nil && s.Max != nil && *s.Min > *s.Max {
		faults = append(faults, fmt.Sprintf("its minimum %s is above its maximum %s", number(*s.Min), number(*s.Max)))
	}
	return invalid(fmt.Sprintf("setting %q", s.Name), faults...)
}

func (s Setting) nameFault() string {
	switch {
	case s.Name == "version":
		return "the version is not a setting: \"plan set APP SERVICE=VERSION\" plans it"
	case !settingName.MatchString(string(s.Name)):
		return "a name has up to 63 of a-z, A-Z, 0-9, '-' and '_', and begins with a letter"
	}
	return ""
}

func (s Setting) fieldFault() string {
	switch {
	case s.Field == "":
		return "it has no field: write NAME=PATH, such as maxReplicas=helm.values.autoscaling.maxReplicas"
	case !strings.HasPrefix(s.Field, "helm.values.") || strings.Contains(s.Field, "="):
		return fmt.Sprintf("field %q is not a path below helm.values, which alone belongs to one ring", s.Field)
	}
	return ""
}

func (s Setting) typeFault() string {
	switch {
	case !slices.Contains(settingTypes, s.Type):
		return fmt.Sprintf("type %q is none of %s", s.Type, joined(settingTypes))
	case (s.Min != nil || s.Max != nil) && s.Type != SettingInt && s.Type != SettingNumber:
		return fmt.Sprintf("a %s has no minimum and no maximum", s.Type)
	}
	return ""
}

func joined[T ~string](in []T) string { return strings.Join(names(in), ", ") }

// Parse returns the value as it is planned and compared: "05" is no int, "1.50"
// is the number 1.5. The error says what is wrong with it.
func (s Setting) Parse(text string) (string, error) {
	value, ok := s.canonical(text)
	if !ok {
		return "", fmt.Errorf("%q is not %s", text, s.kind())
	}
	if s.Min == nil && s.Max == nil {
		return value, nil
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return "", fmt.Errorf("%q is not %s", text, s.kind())
	}
	switch {
	case s.Min != nil && n < *s.Min:
		return "", fmt.Errorf("%s is below the minimum %s", value, number(*s.Min))
	case s.Max != nil && n > *s.Max:
		return "", fmt.Errorf("%s is above the maximum %s", value, number(*s.Max))
	}
	return value, nil
}

func (s Setting) canonical(text string) (string, bool) {
	switch s.Type {
	case SettingInt:
		n, err := strconv.ParseInt(text, 10, 64)
		return text, err == nil && n <= largestInt && n >= -largestInt && strconv.FormatInt(n, 10) == text
	case SettingNumber:
		n, err := strconv.ParseFloat(text, 64)
		plain := err == nil && !math.IsInf(n, 0) && !math.IsNaN(n) && strings.Trim(text, "0123456789.-+eE") == ""
		return number(n), plain
	case SettingBool:
		return text, text == "true" || text == "false"
	}
	odd := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	return text, text != "" && strings.TrimSpace(text) == text && !strings.ContainsFunc(text, odd) && !strings.Contains(text, "${")
}

// kind is the type in words.
func (s Setting) kind() string {
	switch s.Type {
	case SettingInt:
		return "an int, such as 5"
	case SettingNumber:
		return "a number, such as 0.5"
	case SettingBool:
		return "a bool: true or false"
	}
	return "a text that can be written on a line of fleet.yaml: not empty, without ${ and spaces around it"
}

// Bounds says between which values the setting must be; "" when there is none.
func (s Setting) Bounds() string {
	switch {
	case s.Min != nil && s.Max != nil:
		return number(*s.Min) + " to " + number(*s.Max)
	case s.Min != nil:
		return "at least " + number(*s.Min)
	case s.Max != nil:
		return "at most " + number(*s.Max)
	}
	return ""
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// Setting returns the setting of that name, or an *UnknownError. The pointer is
// into the service.
func (s *Service) Setting(name SettingName) (*Setting, error) {
	i := slices.IndexFunc(s.Settings, func(o Setting) bool { return o.Name == name })
	if i < 0 {
		known := make([]SettingName, len(s.Settings))
		for i, o := range s.Settings {
			known[i] = o.Name
		}
		return nil, &UnknownError{Kind: "setting", Name: string(name), Where: fmt.Sprintf("service %q", s.Name), Nearest: Nearest(string(name), names(known))}
	}
	return &s.Settings[i], nil
}

// settingFaults are what is wrong with the service's settings, each alone and
// with one another.
func (s Service) settingFaults() []string {
	var faults []string
	fields := map[string]string{}
	for _, f := range s.versionFields() {
		fields[f] = "the version"
	}
	seen := map[SettingName]bool{}
	for _, o := range s.Settings {
		faults = append(faults, faultsOf(o.Validate())...)
		if seen[o.Name] {
			faults = append(faults, fmt.Sprintf("setting %q exists already", o.Name))
		}
		if other := fields[o.Field]; other != "" {
			faults = append(faults, fmt.Sprintf("setting %q: field %s is %s already", o.Name, o.Field, other))
		}
		seen[o.Name], fields[o.Field] = true, fmt.Sprintf("setting %q", o.Name)
	}
	return faults
}

// versionFields are the paths at which the version stands.
func (s Service) versionFields() []string {
	if len(s.Fields) == 0 {
		return []string{DefaultField}
	}
	out := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		out[i], _, _ = strings.Cut(f, "=")
	}
	return out
}
