package main

import (
	"bytes"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// Every question is confirm's: nothing else reads what a person types. So what
// holds for confirm holds for all commands.
func TestQuestions_allByConfirm(t *testing.T) {
	readers := map[string]bool{"confirm": false, "readAppFile": false, "app": false} // the second reads a file that was named, the third hands it to the library
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name == "hostEnvironment" {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok || s.Sel.Name != "stdin" && s.Sel.Name != "Stdin" {
					return true
				}
				if _, known := readers[f.Name.Name]; !known {
					t.Errorf("%s: %s reads what a person types: questions are confirm's, which --yes answers", set.Position(s.Pos()), f.Name.Name)
				}
				readers[f.Name.Name] = true
				return true
			})
		}
	}
	for f, seen := range readers {
		if !seen {
			t.Errorf("%s was not found", f)
		}
	}
}

func TestConfirm(t *testing.T) {
	tests := []struct {
		name           string
		yes, questions bool
		answer         string
		want           string // of the error; "" is none
		asked          bool
	}{
		{name: "yes was said", yes: true},
		{name: "yes was said, and somebody is there", yes: true, questions: true},
		{name: "nobody is there", answer: "y\n", want: "this needs a yes, and there is nobody to ask: forget it?"},
		{name: "a yes", questions: true, answer: "Yes\n", asked: true},
		{name: "a no", questions: true, answer: "n\n", want: "not confirmed: nothing was changed", asked: true},
		{name: "no answer", questions: true, want: "not confirmed: nothing was changed", asked: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			p := &program{environment: environment{stdin: strings.NewReader(tt.answer), stdout: io.Discard, stderr: &out, questions: tt.questions}}
			p.flags.yes = tt.yes
			err := p.confirm(t.Context(), "forget it?")
			if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
				t.Errorf("got %v", err)
			}
			if err != nil && classify(err).exit != exitUsage {
				t.Errorf("exit code %d", classify(err).exit)
			}
			if asked := out.Len() > 0; asked != tt.asked {
				t.Errorf("it says %q", out.String())
			}
			if err != nil && !tt.questions && classify(err).hint != "add --yes" {
				t.Errorf("hint %q", classify(err).hint)
			}
		})
	}
}

// TestConfirm_interrupted: Ctrl-C at a question is an answer.
func TestConfirm_interrupted(t *testing.T) {
	stdin, typed := io.Pipe()
	t.Cleanup(func() { typed.Close() })
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	p := &program{environment: environment{stdin: stdin, stdout: io.Discard, stderr: io.Discard, questions: true}}
	if err := p.confirm(ctx, "forget it?"); err == nil || classify(err).exit != exitInterrupted || err.Error() != "interrupted: nothing was changed" {
		t.Errorf("got %v", err)
	}
}
