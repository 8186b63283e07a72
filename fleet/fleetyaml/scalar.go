package fleetyaml

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
	fleetsyaml "sigs.k8s.io/yaml"
)

// splice replaces the bytes [start, end) by text; start == end inserts.
type splice struct {
	start, end int
	text       string
}

// labelReference is how a value refers to a cluster's label; Fleet replaces the whole value (target/builder.go:336-352).
const labelReference = "global.fleet.clusterLabels."

// isTemplate reports whether Fleet computes the value for each cluster.
func isTemplate(value string) bool {
	return strings.Contains(value, "${") || strings.HasPrefix(value, labelReference)
}

// locate finds the bytes of a scalar's own text, quotes included, without its anchor and tag. why says why it cannot be
// edited, "" if it can: it must be one plain or quoted text on one line, and what stands there must read as the node says.
func (f *File) locate(n *yaml.Node) (start, end int, why string) {
	if n.Kind != yaml.ScalarNode {
		return 0, 0, "is not a single value"
	}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return 0, 0, "is a block scalar (| or >); write it on the key's line"
	}
	start, ok := f.lines.offset(n.Line, n.Column)
	if ok {
		start, ok = skipProperties(f.src, start, n)
	}
	if ok {
		end, ok = tokenEnd(f.src, start, n)
	}
	if !ok {
		return 0, 0, "spans several lines, or stands where it cannot be placed exactly"
	}
	if start == end {
		return 0, 0, "has no value"
	}
	return start, end, ""
}

// skipProperties goes past `&anchor` and `!tag`, which the parser counts as the scalar's beginning. They end at a space;
// a value on a later line is not looked for.
func skipProperties(src []byte, i int, n *yaml.Node) (int, bool) {
	if n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 {
		return i, true
	}
	for i < len(src) && (src[i] == '&' || src[i] == '!') {
		for i < len(src) && !isSpace(src[i]) {
			i++
		}
		for i < len(src) && (src[i] == ' ' || src[i] == '\t') {
			i++
		}
	}
	return i, i < len(src)
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// tokenEnd scans the token that begins at i and checks it against what the parser read. A plain scalar on one line is its
// own text; a quoted one ends at its closing quote.
func tokenEnd(src []byte, i int, n *yaml.Node) (int, bool) {
	quote := byte(0)
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		quote = '"'
	case n.Style&yaml.SingleQuotedStyle != 0:
		quote = '\''
	default:
		return i + len(n.Value), bytes.HasPrefix(src[i:], []byte(n.Value))
	}
	if i >= len(src) || src[i] != quote {
		return 0, false
	}
	for j := i + 1; j < len(src); j++ {
		switch {
		case breakWidth(src[j:]) > 0, src[j] == '\\' && breakWidth(src[j+1:]) > 0:
			return 0, false
		case quote == '"' && src[j] == '\\':
			j++
		case quote == '\'' && src[j] == quote && j+1 < len(src) && src[j+1] == quote:
			j++
		case src[j] == quote:
			return j + 1, readsAs(src[i:j+1], n.Value)
		}
	}
	return 0, false
}

// readsAs reports whether a token on its own is the value.
func readsAs(token []byte, value string) bool {
	var n yaml.Node
	if yaml.Unmarshal(token, &n) != nil || len(n.Content) != 1 {
		return false
	}
	return n.Content[0].Kind == yaml.ScalarNode && n.Content[0].Value == value
}

// quoteLike writes a version in the style of the scalar it replaces. A plain one becomes quoted only if it has to: it
// would be read as something else than a string, or its characters mean something to YAML.
func quoteLike(n *yaml.Node, version string, flow bool) string {
	switch {
	case n.Style&yaml.SingleQuotedStyle != 0:
		return "'" + strings.ReplaceAll(version, "'", "''") + "'"
	case n.Style&yaml.DoubleQuotedStyle == 0 && plainSafe(version, flow):
		return version
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(version) + `"`
}

var (
	blockPlain = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9_.+/@~:-]*[A-Za-z0-9_.+/@~-])?$`)
	flowPlain  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+/@~-]*$`)
	// numberLike and dateLike are what one YAML version or parser or another takes for a number or a date; base 60 too.
	numberLike = regexp.MustCompile(`^(0[xX][0-9a-fA-F_]+|0[oObB][0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9_]+)?|[0-9][0-9_]*(:[0-9_]+)+(\.[0-9_]*)?)$`)
	dateLike   = regexp.MustCompile(`^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt].*)?$`)
	wordLike   = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null)$`)
)

// plainSafe reports whether the version can stand without quotes and is a string to every parser.
func plainSafe(version string, flow bool) bool {
	shape := blockPlain
	if flow {
		shape = flowPlain
	}
	return shape.MatchString(version) && !numberLike.MatchString(version) && !dateLike.MatchString(version) &&
		!wordLike.MatchString(version) && readsAsString(version)
}

// readsAsString reports whether both parsers read the text, unquoted, as that very string.
func readsAsString(plain string) bool {
	var n yaml.Node
	if yaml.Unmarshal([]byte(plain), &n) != nil || len(n.Content) != 1 || n.Content[0].Tag != "!!str" {
		return false
	}
	b, err := fleetsyaml.YAMLToJSON([]byte(plain))
	var s string
	return err == nil && json.Unmarshal(b, &s) == nil && s == plain
}

// checkVersion says what is wrong with a version that shall be written; "" if nothing is.
func checkVersion(version string) string {
	switch {
	case version == "":
		return "the version is empty"
	case strings.TrimSpace(version) != version:
		return "the version begins or ends with a space"
	case isTemplate(version):
		return "the version is a template, which Fleet would replace"
	case strings.ContainsFunc(version, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }):
		return "the version has characters that cannot be printed"
	}
	return ""
}
