package lab

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// A termination message has at most this many bytes: the end of what the container said.
const maxMessage = 2048

// pod is a pod whose containers run as processes of this machine. Its volumes are folders under root, and wherever a
// container's command, arguments or variables name a path in a volume, they get the path in the folder.
type pod struct {
	lab  *Lab
	root string
	spec corev1.PodSpec
}

// mountVolumes makes the pod's volumes: empty ones, and those filled from a Secret or a ConfigMap.
func (p *pod) mountVolumes(ctx context.Context, clients kubernetes.Interface, namespace string) error {
	for _, v := range p.spec.Volumes {
		files, err := volumeFiles(ctx, clients, namespace, v)
		if err != nil {
			return fmt.Errorf("volume %s: %w", v.Name, err)
		}
		if err := writeFiles(p.volume(v.Name), files); err != nil {
			return fmt.Errorf("volume %s: %w", v.Name, err)
		}
	}
	return nil
}

func (p *pod) volume(name string) string { return filepath.Join(p.root, name) }

func volumeFiles(ctx context.Context, clients kubernetes.Interface, namespace string, v corev1.Volume) (map[string][]byte, error) {
	switch {
	case v.Secret != nil:
		secret, err := clients.CoreV1().Secrets(namespace).Get(ctx, v.Secret.SecretName, metav1.GetOptions{})
		if apierrors.IsNotFound(err) && v.Secret.Optional != nil && *v.Secret.Optional {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return secret.Data, nil
	case v.ConfigMap != nil:
		config, err := clients.CoreV1().ConfigMaps(namespace).Get(ctx, v.ConfigMap.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return configFiles(config), nil
	}
	return nil, nil
}

func configFiles(config *corev1.ConfigMap) map[string][]byte {
	files := map[string][]byte{}
	maps.Copy(files, config.BinaryData)
	for name, text := range config.Data {
		files[name] = []byte(text)
	}
	return files
}

func writeFiles(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// run runs a container to its end and returns the last of what it said. Only Fleet's own command is known.
func (p *pod) run(ctx context.Context, c corev1.Container) (said string, err error) {
	words := append(slices.Clone(c.Command), c.Args...)
	if len(words) == 0 || words[0] != "fleet" {
		return fmt.Sprintf("the lab runs no command but fleet: %v", words), fmt.Errorf("unknown command")
	}
	local := p.paths(c.VolumeMounts)
	cmd := exec.CommandContext(ctx, p.lab.program("fleetcli"), local.all(words[1:])...)
	cmd.Dir = p.root
	if c.WorkingDir != "" {
		cmd.Dir = local.one(c.WorkingDir)
	}
	cmd.Env = append(environment(p.lab.dir), "KUBECONFIG="+p.lab.Kubeconfig(), "TMPDIR="+local.one("/tmp"))
	for _, e := range c.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+local.one(e.Value))
	}
	// A deleted Job gets the signal that a deleted pod would.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.CombinedOutput()
	said = tail(string(out), maxMessage)
	if err != nil && said == "" {
		said = err.Error()
	}
	return said, err
}

// pathMap says where the paths that a container sees lie on this machine; the longest first.
type pathMap []struct{ inside, here string }

func (p *pod) paths(mounts []corev1.VolumeMount) pathMap {
	var m pathMap
	for _, v := range mounts {
		m = append(m, struct{ inside, here string }{v.MountPath, filepath.Join(p.volume(v.Name), v.SubPath)})
	}
	slices.SortFunc(m, func(a, b struct{ inside, here string }) int { return len(b.inside) - len(a.inside) })
	return m
}

func (m pathMap) all(words []string) []string {
	var local []string
	for _, w := range words {
		local = append(local, m.one(w))
	}
	return local
}

// one returns a word with the path in it made local: a path, or a flag with one (--file=/path). Any other word stays.
func (m pathMap) one(word string) string {
	flag, path := "", word
	if name, value, found := strings.Cut(word, "="); found && strings.HasPrefix(word, "-") {
		flag, path = name+"=", value
	}
	for _, e := range m {
		if path == e.inside || strings.HasPrefix(path, e.inside+"/") {
			return flag + e.here + path[len(e.inside):]
		}
	}
	return word
}
