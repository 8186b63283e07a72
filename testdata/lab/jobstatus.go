package lab

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

// report writes to the cluster how a Job ended, and tries again until the API server takes it or the Job is gone, also when
// there is another one of its name. The pod of a failed Job comes first: Fleet takes its words from there, as soon as it sees
// the Job failed.
func (r *jobs) report(ctx context.Context, job *batchv1.Job, end outcome) error {
	if end.failed {
		pod := failedPod(job, end)
		if err := r.retry(ctx, func() error { return r.createPod(ctx, pod) }); err != nil {
			return err
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": job.UID}, "status": jobStatus(end, time.Now())})
	if err != nil {
		return err
	}
	return r.retry(ctx, func() error {
		_, err := r.clients.BatchV1().Jobs(job.Namespace).Patch(ctx, job.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		if apierrors.IsConflict(err) {
			return errReplaced
		}
		return err
	})
}

// errReplaced says that there is another Job of the name now.
var errReplaced = errors.New("replaced by another Job")

// retry calls do until it succeeds or is told that it cannot.
func (r *jobs) retry(ctx context.Context, do func() error) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(context.Context) (bool, error) {
		last = do()
		if apierrors.IsInvalid(last) || apierrors.IsNotFound(last) || errors.Is(last, errReplaced) {
			return false, last
		}
		return last == nil, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// createPod creates the pod and then gives it its status, which creation leaves out.
func (r *jobs) createPod(ctx context.Context, pod *corev1.Pod) error {
	pods := r.clients.CoreV1().Pods(pod.Namespace)
	created, err := pods.Create(ctx, pod, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		created, err = pods.Get(ctx, pod.Name, metav1.GetOptions{})
	}
	if err != nil {
		return err
	}
	created.Status = pod.Status
	_, err = pods.UpdateStatus(ctx, created, metav1.UpdateOptions{})
	return err
}

// jobStatus is the status that the Job controller would have written.
func jobStatus(end outcome, now time.Time) batchv1.JobStatus {
	status := batchv1.JobStatus{
		StartTime:               &metav1.Time{Time: end.start},
		UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{},
	}
	if end.failed {
		const reason, message = batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit"
		status.Failed = 1
		status.Conditions = []batchv1.JobCondition{
			condition(batchv1.JobFailureTarget, now, reason, message),
			condition(batchv1.JobFailed, now, reason, message),
		}
		return status
	}
	const reason, message = batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods"
	status.Succeeded = 1
	status.CompletionTime = &metav1.Time{Time: now}
	status.Conditions = []batchv1.JobCondition{
		condition(batchv1.JobSuccessCriteriaMet, now, reason, message),
		condition(batchv1.JobComplete, now, reason, message),
	}
	return status
}

func condition(kind batchv1.JobConditionType, now time.Time, reason, message string) batchv1.JobCondition {
	return batchv1.JobCondition{
		Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message,
		LastProbeTime: metav1.Time{Time: now}, LastTransitionTime: metav1.Time{Time: now},
	}
}

// failedPod is the pod that the kubelet would have left behind: it belongs to the Job, and the container that failed ended
// with its last words.
func failedPod(job *batchv1.Job, end outcome) *corev1.Pod {
	spec := *job.Spec.Template.Spec.DeepCopy()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:            job.Name + "-lab",
			Namespace:       job.Namespace,
			Labels:          map[string]string{"job-name": job.Name, batchv1.JobNameLabel: job.Name},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec: spec,
		Status: corev1.PodStatus{
			Phase:                 corev1.PodFailed,
			InitContainerStatuses: terminated(spec.InitContainers, end),
			ContainerStatuses:     terminated(spec.Containers, end),
		},
	}
}

func terminated(containers []corev1.Container, end outcome) []corev1.ContainerStatus {
	var all []corev1.ContainerStatus
	for _, c := range containers {
		state := &corev1.ContainerStateTerminated{Reason: "Completed"}
		if c.Name == end.at {
			state = &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1, Message: end.message}
		}
		all = append(all, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, State: corev1.ContainerState{Terminated: state},
		})
	}
	return all
}
