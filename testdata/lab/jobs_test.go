package lab

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func gitJob() *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: "shop-db-1", Namespace: Namespace, UID: "u",
			OwnerReferences: []metav1.OwnerReference{{Kind: "GitRepo", Name: "shop-db", Controller: new(true)}},
		},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "clone"}},
			Containers:     []corev1.Container{{Name: "fleet"}},
		}}},
	}
}

func TestPathsOfAContainer(t *testing.T) {
	p := &pod{lab: &Lab{}, root: "/r"}
	m := p.paths([]corev1.VolumeMount{
		{Name: "git", MountPath: "/workspace"}, {Name: "source", MountPath: "/workspace/source"}, {Name: "config", MountPath: "/run/config"},
	})
	got := m.all([]string{
		"apply", "--targets-file=/run/config/targets.yaml", "/workspace", "/workspace/source/deploy", "/workspaces", "--label=a=/run/config/x", "a=/workspace",
	})
	want := []string{
		"apply", "--targets-file=/r/config/targets.yaml", "/r/git", "/r/source/deploy", "/workspaces", "--label=a=/run/config/x", "a=/workspace",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestGitRepoOfAJob(t *testing.T) {
	job := gitJob()
	if got := gitRepoOf(job); got != "shop-db" {
		t.Errorf("GitRepo %q, want shop-db", got)
	}
	job.OwnerReferences[0].Kind = "CronJob"
	if got := gitRepoOf(job); got != "" {
		t.Errorf("GitRepo %q of another's Job", got)
	}
}

func TestJobStatus(t *testing.T) {
	now := time.Now()
	done, failed := jobStatus(outcome{start: now}, now), jobStatus(outcome{failed: true, start: now}, now)
	if !finished(&batchv1.Job{Status: done}) || done.Succeeded != 1 || done.CompletionTime == nil {
		t.Errorf("complete: %+v", done)
	}
	if !finished(&batchv1.Job{Status: failed}) || failed.Failed != 1 || failed.CompletionTime != nil {
		t.Errorf("failed: %+v", failed)
	}
	if finished(gitJob()) {
		t.Error("a new Job is finished")
	}
}

func TestFailedPodCarriesTheWords(t *testing.T) {
	pod := failedPod(gitJob(), outcome{failed: true, at: "fleet", message: "no chart"})
	if pod.Labels["job-name"] != "shop-db-1" || pod.Status.Phase != corev1.PodFailed {
		t.Errorf("pod %+v", pod)
	}
	first, second := pod.Status.InitContainerStatuses[0].State.Terminated, pod.Status.ContainerStatuses[0].State.Terminated
	if first.ExitCode != 0 || second.ExitCode != 1 || second.Message != "no chart" {
		t.Errorf("clone ended with %+v, fleet with %+v", first, second)
	}
}

func TestWordsInFleetsForm(t *testing.T) {
	var line struct{ FleetErrorMessage string }
	if err := json.Unmarshal([]byte(inFleetsForm(`no "space"`)), &line); err != nil || line.FleetErrorMessage != `no "space"` {
		t.Errorf("%+v, %v", line, err)
	}
}

func TestTail(t *testing.T) {
	long := strings.Repeat("x", 50) + "\nlast line\n"
	for _, c := range []struct {
		text string
		size int
		want string
	}{{" a\n", 10, "a"}, {long, 20, "last line"}, {"abcdef", 3, "def"}} {
		if got := tail(c.text, c.size); got != c.want {
			t.Errorf("tail(%q, %d) = %q, want %q", c.text, c.size, got, c.want)
		}
	}
}
