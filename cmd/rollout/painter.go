package main

import (
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// painter writes lines over those that it wrote before. A library for whole
// terminal programs would ask the terminal for its colours when the program
// starts, whatever the command, and wait for the answer.
type painter struct{ lines int }

func (p *painter) paint(w io.Writer, lines []string) error {
	var b strings.Builder
	if p.lines > 0 {
		b.WriteString("\r" + ansi.CursorUp(p.lines))
	}
	for _, l := range lines {
		b.WriteString(l + ansi.EraseLineRight + "\n")
	}
	b.WriteString(ansi.EraseScreenBelow)
	p.lines = len(lines)
	_, err := io.WriteString(w, b.String())
	return err
}
