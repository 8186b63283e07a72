package fleetyaml

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// setKey writes a key of an entry: in place of the value that is written there, else as a new key beside the key `top`. why
// says why it cannot be done, "" if it can. No splice: the entry says so already.
func (f *File) setKey(entry, top *yaml.Node, key, value string) (s []splice, why string) {
	_, old := pair(entry, key)
	if old == nil {
		if entry.Style&yaml.FlowStyle == 0 && top != entry.Content[0] && !f.startsLine(top) {
			return nil, "cannot be added: the key beside it does not begin its line"
		}
		return []splice{f.insertKey(entry, top, key, value)}, ""
	}
	if old.Kind == yaml.AliasNode {
		return nil, "is an alias"
	}
	if old.Value == value {
		return nil, ""
	}
	start, end, why := f.locate(old)
	if why != "" {
		return nil, why
	}
	return []splice{{start, end, value}}, ""
}

// insertKey adds `key: value` to an entry, before the key `beside`: in flow style on the same line, in block style on a
// line of its own with the entry's indentation and the line end of the line above. If `beside` is the entry's first key,
// and so stands after the `- `, the new line comes before the second key.
func (f *File) insertKey(entry, beside *yaml.Node, key, value string) splice {
	at, _ := f.lines.offset(beside.Line, beside.Column)
	if entry.Style&yaml.FlowStyle != 0 {
		if beside.Style&yaml.DoubleQuotedStyle != 0 {
			key = `"` + key + `"` // JSON stays JSON
		}
		return splice{at, at, key + ": " + value + ", "}
	}
	indent := strings.Repeat(" ", beside.Column-1)
	if beside == entry.Content[0] && len(entry.Content) > 2 {
		beside = entry.Content[2]
	}
	if beside == entry.Content[0] || !f.startsLine(beside) {
		return splice{at, at, key + ": " + value + f.lineEnd(beside.Line) + indent}
	}
	line := f.aboveComments(beside.Line, indent)
	at, _ = f.lines.offset(line, 1)
	return splice{at, at, indent + key + ": " + value + f.lineEnd(line)}
}

// startsLine reports whether only spaces stand before the node.
func (f *File) startsLine(n *yaml.Node) bool {
	return n.Column-1 == len(f.lines.line(n.Line))-len(strings.TrimLeft(string(f.lines.line(n.Line)), " "))
}

// aboveComments is the first line of the comment that stands directly above a key, at its indentation, and so belongs to
// it; the key's own line if there is none.
func (f *File) aboveComments(line int, indent string) int {
	for line > 1 && strings.HasPrefix(string(f.lines.line(line-1)), indent+"#") {
		line--
	}
	return line
}

// lineEnd is the line break to use for a line that is put in above the given one: that of the line before it, or of the
// line itself if it is the first.
func (f *File) lineEnd(line int) string {
	if line > 1 {
		return f.lines.breakBefore(line)
	}
	return f.lines.breakBefore(line + 1)
}
