package gitrepo

import (
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/diff"
	linediff "github.com/go-git/go-git/v5/utils/diff"
	"github.com/sergi/go-diff/diffmatchpatch"
)

// Patch returns what changes in the file at a path of a repository, as git
// shows it and "git apply" takes it: a unified diff without colours, "" when
// nothing changes.
func Patch(path string, before, after []byte) (string, error) {
	if string(before) == string(after) {
		return "", nil
	}
	var b strings.Builder
	f := filePatch{path: strings.Trim(path, "/"), before: before, after: after}
	if err := diff.NewUnifiedEncoder(&b, diff.DefaultContextLines).Encode(f); err != nil {
		return "", fmt.Errorf("%s: what changes: %w", path, err)
	}
	return b.String(), nil
}

// filePatch is one text in place of another.
type filePatch struct {
	path          string
	before, after []byte
}

// FilePatches is for diff.Patch.
func (f filePatch) FilePatches() []diff.FilePatch { return []diff.FilePatch{f} }

// Message is for diff.Patch: there is none.
func (f filePatch) Message() string { return "" }

// IsBinary is for diff.FilePatch.
func (f filePatch) IsBinary() bool { return false }

// Files is for diff.FilePatch.
func (f filePatch) Files() (from, to diff.File) {
	return patchedFile{f.path, f.before}, patchedFile{f.path, f.after}
}

// operations are the library's words for the other library's.
var operations = map[diffmatchpatch.Operation]diff.Operation{
	diffmatchpatch.DiffEqual: diff.Equal, diffmatchpatch.DiffInsert: diff.Add, diffmatchpatch.DiffDelete: diff.Delete,
}

// Chunks is for diff.FilePatch.
func (f filePatch) Chunks() []diff.Chunk {
	var out []diff.Chunk
	for _, d := range linediff.Do(string(f.before), string(f.after)) {
		out = append(out, chunk{d.Text, operations[d.Type]})
	}
	return out
}

// chunk is a part of a patch.
type chunk struct {
	text      string
	operation diff.Operation
}

// Content is for diff.Chunk.
func (c chunk) Content() string { return c.text }

// Type is for diff.Chunk.
func (c chunk) Type() diff.Operation { return c.operation }

// patchedFile is a side of a patch.
type patchedFile struct {
	path string
	text []byte
}

// Hash is for diff.File.
func (f patchedFile) Hash() plumbing.Hash { return plumbing.ComputeHash(plumbing.BlobObject, f.text) }

// Mode is for diff.File.
func (f patchedFile) Mode() filemode.FileMode { return filemode.Regular }

// Path is for diff.File.
func (f patchedFile) Path() string { return f.path }
