package appfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v3"

	"rollout/rings"
)

// Fault is one thing that is wrong with a file.
type Fault struct {
	Line  int    // from 1; 0: of no single line
	Words string // what is wrong, and where in the file
}

// Error is everything that is wrong with a file; it has one fault or more.
type Error struct {
	Name   string // as given to Parse
	Faults []Fault
}

// Error has one line for each fault.
func (e *Error) Error() string {
	var lines []string
	for _, f := range e.Faults {
		where := e.Name
		if f.Line > 0 {
			where = fmt.Sprintf("%s:%d", e.Name, f.Line)
		}
		lines = append(lines, where+": "+f.Words)
	}
	return strings.Join(lines, "\n  ")
}

// Parse reads a file, YAML or JSON, and checks it by the schema; then by the
// rules of the model, whose faults have no line. name is what errors call it.
// The error is an *[Error].
func Parse(name string, text []byte) (*File, error) {
	root, err := parseNode(name, text)
	if err != nil {
		return nil, err
	}
	var tree any
	if err := root.Decode(&tree); err != nil {
		return nil, syntax(name, err)
	}
	if err := check(name, root, tree); err != nil {
		return nil, err
	}
	text, err = json.Marshal(tree)
	if err != nil {
		return nil, syntax(name, err)
	}
	f := new(File)
	if err := json.Unmarshal(text, f); err != nil {
		return nil, syntax(name, err)
	}
	return f, f.sensible(name)
}

// parseNode returns the one document that there is.
func parseNode(name string, text []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, &Error{name, []Fault{{0, "it is empty"}}}
	case err != nil:
		return nil, syntax(name, err)
	}
	if err := d.Decode(&more); err == nil && more.Content[0].Tag != "!!null" {
		return nil, &Error{name, []Fault{{more.Content[0].Line, "a second document begins here: one file is one application"}}}
	} else if err != nil && !errors.Is(err, io.EOF) {
		return nil, syntax(name, err)
	}
	datesAsText(&doc)
	return doc.Content[0], nil
}

// datesAsText has what looks like a date read as it is written: there are no
// dates in the file, but branches and tags may look like one.
func datesAsText(n *yaml.Node) {
	if n.Tag == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, c := range n.Content {
		datesAsText(c)
	}
}

var parserLine = regexp.MustCompile(`line (\d+): `)

// syntax is what a parser has to say, with its line.
func syntax(name string, err error) error {
	words, line := strings.TrimPrefix(err.Error(), "yaml: "), 0
	if many, ok := errors.AsType[*yaml.TypeError](err); ok {
		words = many.Errors[0]
	}
	if m := parserLine.FindStringSubmatch(words); m != nil {
		line, _ = strconv.Atoi(m[1])
		words = strings.Replace(words, m[0], "", 1)
	}
	return &Error{name, []Fault{{line, "it cannot be read: " + words}}}
}

// check holds the tree against the schema.
func check(name string, root *yaml.Node, tree any) error {
	s, err := compiled()
	if err != nil {
		return fmt.Errorf("the schema: %w", err)
	}
	err = s.Validate(tree)
	wrong, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err
	}
	e := &Error{Name: name}
	e.collect(root, wrong)
	slices.SortStableFunc(e.Faults, func(a, b Fault) int { return a.Line - b.Line })
	return e
}

// collect adds the innermost errors.
func (e *Error) collect(root *yaml.Node, v *jsonschema.ValidationError) {
	for _, c := range v.Causes {
		e.collect(root, c)
	}
	if len(v.Causes) > 0 {
		return
	}
	place := v.InstanceLocation
	if k, ok := v.ErrorKind.(*kind.AdditionalProperties); ok {
		for _, key := range k.Properties {
			e.Faults = append(e.Faults, Fault{lineOf(root, append(slices.Clone(place), key)), unknownKey(place, key)})
		}
		return
	}
	e.Faults = append(e.Faults, Fault{lineOf(root, place), inPlace(place, words(v.ErrorKind))})
}

func unknownKey(place []string, key string) string {
	known := keysAt(place)
	said := fmt.Sprintf("there is no key %q here", key)
	if n := rings.Nearest(key, known); n != "" {
		said += fmt.Sprintf("; did you mean %q?", n)
	} else {
		said += ": " + strings.Join(known, ", ")
	}
	return inPlace(place, said)
}

// inPlace says where in the file, as people write it: services[2].repo.
func inPlace(place []string, words string) string {
	where := ""
	for _, step := range place {
		if _, err := strconv.Atoi(step); err == nil {
			where += "[" + step + "]"
		} else {
			where += "." + step
		}
	}
	if where == "" {
		return words
	}
	return strings.TrimPrefix(where, ".") + ": " + words
}

// words says what is wrong, and what would be right.
func words(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Required:
		return fmt.Sprintf("%s is missing", strings.Join(k.Missing, ", "))
	case *kind.Type:
		return fmt.Sprintf("it is of type %s, and must be of type %s%s", k.Got, strings.Join(k.Want, " or "), quotes(k))
	case *kind.Enum:
		return fmt.Sprintf("%q is none of %s", fmt.Sprint(k.Got), strings.Trim(fmt.Sprint(k.Want), "[]"))
	case *kind.Const:
		return fmt.Sprintf("%q: it must be %q", fmt.Sprint(k.Got), fmt.Sprint(k.Want))
	case *kind.Pattern:
		return fmt.Sprintf("%q is not %s", k.Got, patterns[k.Want])
	case *kind.UniqueItems:
		return "the same is there twice"
	case *kind.MinLength, *kind.MinItems, *kind.MinProperties:
		return "it is empty"
	case *kind.MaxLength:
		return fmt.Sprintf("it has %d characters, at most %d are allowed", k.Got, k.Want)
	case *kind.Minimum:
		return fmt.Sprintf("%s is less than %s", k.Got.RatString(), k.Want.RatString())
	}
	return "it does not follow the schema: " + strings.Join(k.KeywordPath(), "/")
}

// quotes is a hint for what YAML takes for something else than text.
func quotes(k *kind.Type) string {
	if slices.Contains(k.Want, "string") && slices.Contains([]string{"number", "boolean"}, k.Got) {
		return "; put it in quotes"
	}
	return ""
}

// patterns says what the schema's patterns mean.
var patterns = map[string]string{
	`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`:      "a name: it has only a-z, 0-9 and '-', and begins and ends with a letter or digit",
	`^(0|([0-9]+(\.[0-9]+)?(h|m|s|ms))+)$`: "a duration such as 90s, 5m or 1h30m",
	`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`: "a time in full, such as 2026-12-24T18:00:00Z",
	`^[0-9]+%?$`: "a number of clusters, or a share of them such as 10%",
}

// lineOf is the line of what stands at the place: of its key, in a mapping.
func lineOf(n *yaml.Node, place []string) int {
	line := n.Line
	for _, step := range place {
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		key, value := step, (*yaml.Node)(nil)
		if i, err := strconv.Atoi(key); n.Kind == yaml.SequenceNode && err == nil && i < len(n.Content) {
			value = n.Content[i]
			line = value.Line
		}
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				value, line = n.Content[i+1], n.Content[i].Line
			}
		}
		if value == nil {
			return line
		}
		n = value
	}
	return line
}

// sensible checks what a schema cannot say.
func (f *File) sensible(name string) error {
	e := &Error{Name: name}
	a, err := f.Application()
	if err != nil {
		e.Faults = append(e.Faults, faultsOf(err)...)
	}
	for _, words := range f.holdFaults(a) {
		e.Faults = append(e.Faults, Fault{0, words})
	}
	if v, ok := f.Selector[or(f.RingLabel, DefaultRingLabel)]; ok {
		e.Faults = append(e.Faults, Fault{0, fmt.Sprintf("selector: %s=%s: that label carries the ring", or(f.RingLabel, DefaultRingLabel), v)})
	}
	on := map[rings.ClusterName]rings.RingName{}
	for _, r := range f.Rings {
		for _, c := range r.Clusters {
			if before, twice := on[c]; twice {
				e.Faults = append(e.Faults, Fault{0, fmt.Sprintf("cluster %q is on ring %q and on ring %q", c, before, r.Name)})
			}
			on[c] = r.Name
		}
	}
	if len(e.Faults) == 0 {
		return nil
	}
	return e
}

// faultsOf are the model's faults, each by itself.
func faultsOf(err error) []Fault {
	many, ok := errors.AsType[*rings.InvalidError](err)
	if !ok {
		return []Fault{{0, err.Error()}}
	}
	var out []Fault
	for _, f := range many.Faults {
		out = append(out, Fault{0, f})
	}
	return out
}
