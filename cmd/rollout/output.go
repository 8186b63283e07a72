package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/lipgloss/table"
	"github.com/muesli/termenv"
	"sigs.k8s.io/yaml"

	"rollout/orchestrator"
)

// How output is made. A result goes to stdout, everything else to stderr. A
// terminal gets aligned columns with a header, colours and relative times; a
// pipe gets fields between tabs, no header, RFC 3339 times in UTC. With -o json
// or yaml a list is {"items": [...], "next": ""} and an object is itself; their
// field names are a contract, held by golden tests.

// list is a list as scripts read it.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

func listOf[T any](items []T) list[T] {
	if items == nil {
		items = []T{}
	}
	return list[T]{Items: items}
}

// print prints a result: v for scripts, or what text does for people.
func (p *program) print(v any, text func(w io.Writer) error) error {
	switch p.flags.output {
	case "json":
		return printJSON(p.stdout, v)
	case "yaml":
		b, err := yaml.Marshal(v)
		if err != nil {
			return fmt.Errorf("print as YAML: %w", err)
		}
		_, err = p.stdout.Write(b)
		return err
	}
	return text(p.stdout)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print as JSON: %w", err)
	}
	return nil
}

// printList prints rows under a header, or the words for none to stderr.
func printList[T any](p *program, l list[T], none string, header []string, row func(T) []string) error {
	return p.print(l, func(w io.Writer) error {
		if len(l.Items) == 0 {
			p.say("%s", none)
			return nil
		}
		rows := make([][]string, len(l.Items))
		for i, item := range l.Items {
			rows[i] = row(item)
		}
		if err := p.table(w, header, rows); err != nil || l.Next == "" {
			return err
		}
		p.say("there are more: --before %s", l.Next)
		return nil
	})
}

func (p *program) table(w io.Writer, header []string, rows [][]string) error {
	if !p.terminal {
		for _, r := range rows {
			if _, err := fmt.Fprintln(w, strings.Join(r, "\t")); err != nil {
				return err
			}
		}
		return nil
	}
	header, rows = withoutEmpty(header, rows)
	cell := lipgloss.NewStyle().PaddingRight(2)
	t := table.New().Headers(header...).Rows(rows...).Wrap(false).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).BorderHeader(false).
		StyleFunc(func(int, int) lipgloss.Style { return cell })
	for l := range strings.Lines(t.Render() + "\n") {
		if _, err := fmt.Fprintln(w, strings.TrimRight(l, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// withoutEmpty leaves the last columns out as long as nothing stands in them.
func withoutEmpty(header []string, rows [][]string) ([]string, [][]string) {
	width := 0
	for _, r := range rows {
		for i, cell := range r {
			if cell != "" {
				width = max(width, i+1)
			}
		}
	}
	out := make([][]string, len(rows))
	for i, r := range rows {
		out[i] = r[:min(len(r), width)]
	}
	return header[:min(len(header), width)], out
}

// pairs prints "name value" lines, the values aligned; empty values are left out.
func pairs(w io.Writer, kv ...string) error {
	width := 0
	for i := 0; i < len(kv); i += 2 {
		width = max(width, len(kv[i]))
	}
	for i := 0; i < len(kv); i += 2 {
		if kv[i+1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", width, kv[i], kv[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// done prints what a command has made: the object for scripts, a line for people.
func (p *program) done(v any, format string, args ...any) error {
	return p.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		return err
	})
}

// when prints a time for people: how long ago on a terminal, else in full.
func (p *program) when(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case p.terminal:
		return ago(t, p.now())
	}
	return stamp(t)
}

// whenPtr is when for a time that may not have come.
func (p *program) whenPtr(t *time.Time) string {
	if t == nil {
		return ""
	}
	return p.when(*t)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Second:
		return "just now"
	case d < time.Hour:
		return orchestrator.Duration(d) + " ago"
	case d < 48*time.Hour:
		return orchestrator.Duration(d.Truncate(time.Minute)) + " ago"
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

// instant is a time for scripts: null when it has not come.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := t.UTC().Truncate(time.Millisecond)
	return &u
}

// style colours text, or not. Its colours are of the basic sixteen, so that
// the terminal need not be asked for its background.
type style struct{ renderer *lipgloss.Renderer }

func (p *program) style(terminal bool) style {
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(termenv.Ascii)
	if terminal && !p.flags.noColor && p.getenv("NO_COLOR") == "" {
		r.SetColorProfile(termenv.ANSI)
	}
	return style{r}
}

func (s style) paint(colour, text string) string {
	if s.renderer == nil || text == "" {
		return text
	}
	return s.renderer.NewStyle().Foreground(lipgloss.Color(colour)).Render(text)
}

func (s style) good(text string) string { return s.paint("2", text) }
func (s style) busy(text string) string { return s.paint("6", text) }
func (s style) bad(text string) string  { return s.paint("1", text) }
func (s style) warn(text string) string { return s.paint("3", text) }
func (s style) dim(text string) string  { return s.paint("8", text) }

func join[T ~string](names []T) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}
