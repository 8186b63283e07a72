package lab

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// sample is the application shop: a folder for each repository. db, api and worker have one each, with the service in the
// folder deploy; web and docs share the repository site. At each root, repo.yaml holds the GitRepos for Fleet.
//
//go:embed sample
var sample embed.FS

// Sample returns the files of the sample application's repositories: by repository, and in it by path.
func Sample() (map[string]map[string]string, error) {
	entries, err := sample.ReadDir("sample")
	if err != nil {
		return nil, err
	}
	repos := map[string]map[string]string{}
	for _, e := range entries {
		sub, err := fs.Sub(sample, "sample/"+e.Name())
		if err != nil {
			return nil, err
		}
		if repos[e.Name()], err = ReadFiles(sub); err != nil {
			return nil, err
		}
	}
	return repos, nil
}

// ReadFiles returns all files under a folder by their paths, in the form that CreateRepo takes; those of git are left out.
func ReadFiles(root fs.FS) (map[string]string, error) {
	files := map[string]string{}
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" && path != "." {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, path)
		files[path] = string(content)
		return err
	})
	return files, err
}

// CreateSample makes the sample application's repositories and returns their names, sorted. Fleet does not know of them yet.
func (l *Lab) CreateSample(ctx context.Context) ([]string, error) {
	repos, err := Sample()
	if err != nil {
		return nil, err
	}
	var names []string
	for name, files := range repos {
		if err := l.CreateRepo(ctx, name, files); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// ApplyGitRepos gives Fleet what a repository's repo.yaml says, as kubectl apply --server-side would.
func (l *Lab) ApplyGitRepos(ctx context.Context, repo string) error {
	manifest, err := l.ReadFile(ctx, repo, "repo.yaml")
	if err != nil {
		return err
	}
	return l.Apply(ctx, manifest)
}

// Apply applies a manifest of one or more documents to the manager, and takes over the fields that others had set.
func (l *Lab) Apply(ctx context.Context, manifest string) error {
	c, err := l.Client()
	if err != nil {
		return err
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(manifest)), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a manifest: %w", err)
		}
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.ForceOwnership, client.FieldOwner("lab")); err != nil {
			return err
		}
	}
}
