package fleetyaml

import (
	"bytes"
	"unicode/utf8"
)

// lineTable turns the parser's positions into byte offsets.
type lineTable struct {
	src    []byte
	starts []int // the offset of each line's first byte
}

// newLineTable splits as the parser does: LF, CRLF, a lone CR, and the three Unicode line breaks end a line; a byte order
// mark at the start takes no column (yaml/v3 yamlprivateh.go: is_break; readerc.go).
func newLineTable(src []byte) lineTable {
	t := lineTable{src: src}
	i := 0
	if bytes.HasPrefix(src, []byte("\uFEFF")) {
		i = len("\uFEFF")
	}
	t.starts = append(t.starts, i)
	for i < len(src) {
		if w := breakWidth(src[i:]); w > 0 {
			i += w
			t.starts = append(t.starts, i)
			continue
		}
		i++
	}
	return t
}

// breakWidth is the length of the line break that b begins with, 0 if it begins with none.
func breakWidth(b []byte) int {
	switch {
	case len(b) == 0:
		return 0
	case b[0] == '\n':
		return 1
	case b[0] == '\r':
		if len(b) > 1 && b[1] == '\n' {
			return 2
		}
		return 1
	}
	for _, s := range []string{"\u0085", "\u2028", "\u2029"} {
		if b[0] == s[0] && bytes.HasPrefix(b, []byte(s)) {
			return len(s)
		}
	}
	return 0
}

// offset is the byte at a line and column of the parser, which counts both from 1 and columns in characters. ok is false
// outside the text.
func (t lineTable) offset(line, column int) (offset int, ok bool) {
	if line < 1 || line > len(t.starts) || column < 1 {
		return 0, false
	}
	i := t.starts[line-1]
	for c := 1; c < column; c++ {
		if i >= len(t.src) {
			return 0, false
		}
		_, w := utf8.DecodeRune(t.src[i:])
		i += w
	}
	return i, true
}

// line is the text of a line without its break; nil outside the text.
func (t lineTable) line(n int) []byte {
	if n < 1 || n > len(t.starts) {
		return nil
	}
	b := t.src[t.starts[n-1]:]
	for i := range b {
		if breakWidth(b[i:]) > 0 {
			return b[:i]
		}
	}
	return b
}

// breakBefore is the line break that ends the line before line n; "\n" if there is none.
func (t lineTable) breakBefore(n int) string {
	if n < 2 || n > len(t.starts) {
		return "\n"
	}
	end := t.starts[n-1]
	if bytes.HasSuffix(t.src[:end], []byte("\r\n")) {
		return "\r\n"
	}
	_, w := utf8.DecodeLastRune(t.src[:end])
	return string(t.src[end-w : end])
}
