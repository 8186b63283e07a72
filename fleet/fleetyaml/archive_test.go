package fleetyaml_test

import (
	"bytes"
	"os"
	"strings"
)

// archive is a corpus file in the txtar format: a comment, and named parts.
type archive struct {
	comment []byte
	files   []archivePart
}

type archivePart struct {
	name string
	data []byte
}

func readArchive(path string) (*archive, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ar := &archive{}
	into := &ar.comment
	for _, line := range bytes.SplitAfter(b, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if name, ok := strings.CutPrefix(text, "-- "); ok && strings.HasSuffix(name, " --") {
			ar.files = append(ar.files, archivePart{name: strings.TrimSuffix(name, " --")})
			into = &ar.files[len(ar.files)-1].data
			continue
		}
		*into = append(*into, line...)
	}
	return ar, nil
}

func (ar *archive) format() []byte {
	b := bytes.Clone(ar.comment)
	for _, f := range ar.files {
		b = append(b, "-- "+f.name+" --\n"...)
		b = append(b, f.data...)
	}
	return b
}
