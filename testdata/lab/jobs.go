package lab

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// jobsAtOnce bounds how many Jobs run side by side; the others wait, as for a free node.
const jobsAtOnce = 4

// jobRunner describes the part that runs Fleet's Jobs.
func (l *Lab) jobRunner() *process {
	return l.foreign("jobs", own.name, "run-jobs", "--dir", l.dir)
}

// RunJobs plays the Job controller and the kubelet of the manager of the lab in dir until ctx ends: it runs the commands of
// every Job that is not finished on this machine, and writes to the cluster how they ended. It is what the part jobs runs.
func RunJobs(ctx context.Context, dir string) error {
	l, err := Open(dir)
	if err != nil {
		return err
	}
	clients, err := l.clientset(manager)
	if err != nil {
		return err
	}
	r := &jobs{
		lab: l, clients: clients, log: log.New(os.Stderr, "", log.LstdFlags|log.Lmicroseconds),
		slots: make(chan struct{}, jobsAtOnce), cancel: map[types.UID]context.CancelFunc{},
	}
	return r.run(ctx)
}

// jobs runs Jobs.
type jobs struct {
	lab     *Lab
	clients kubernetes.Interface
	log     *log.Logger
	slots   chan struct{}
	running sync.WaitGroup

	mu     sync.Mutex
	cancel map[types.UID]context.CancelFunc // of the Jobs that run
}

func (r *jobs) run(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(r.clients, 0)
	_, err := factory.Batch().V1().Jobs().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { r.added(ctx, obj.(*batchv1.Job)) },
		UpdateFunc: func(old, obj any) { r.replaced(ctx, old.(*batchv1.Job), obj.(*batchv1.Job)) },
		DeleteFunc: r.deleted,
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
	r.running.Wait()
	return nil
}

// added starts a Job. After a restart of ours, the Jobs that we had not finished come here again and run from the beginning.
func (r *jobs) added(ctx context.Context, job *batchv1.Job) {
	if finished(job) {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancel[job.UID] = cancel
	r.running.Go(func() {
		defer r.forget(job.UID)
		r.one(ctx, job)
	})
}

// replaced tells a Job of the same name from the one that it follows: a watch that began anew has seen neither the end of
// the one nor the beginning of the other.
func (r *jobs) replaced(ctx context.Context, old, job *batchv1.Job) {
	if old.UID != job.UID {
		r.deleted(old)
		r.added(ctx, job)
	}
}

// deleted ends what runs for a Job that somebody deleted.
func (r *jobs) deleted(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	if job, ok := obj.(*batchv1.Job); ok {
		r.forget(job.UID)
	}
}

func (r *jobs) forget(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cancel, found := r.cancel[uid]; found {
		cancel()
		delete(r.cancel, uid)
	}
}

func finished(job *batchv1.Job) bool {
	for _, c := range job.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == "True" {
			return true
		}
	}
	return false
}

// outcome is how a Job ended: at which container, and with which last words of it.
type outcome struct {
	failed  bool
	at      string // the container that failed
	message string
	start   time.Time
}

// one runs a Job and reports how it ended, unless it was deleted meanwhile.
func (r *jobs) one(ctx context.Context, job *batchv1.Job) {
	start := time.Now()
	end, err := r.outcome(ctx, job)
	end.start = start
	if err == nil {
		err = r.report(ctx, job, end)
	}
	verdict := "complete"
	switch {
	case err != nil:
		verdict = err.Error()
	case end.failed:
		verdict = "failed in " + end.at + ": " + end.message
	}
	r.log.Printf("%s/%s: %s after %s", job.Namespace, job.Name, verdict, time.Since(start).Round(time.Millisecond))
}

// outcome runs the Job, or does what its fault says instead.
func (r *jobs) outcome(ctx context.Context, job *batchv1.Job) (outcome, error) {
	fault, err := takeJobFault(ctx, r.lab.dir, gitRepoOf(job))
	if err != nil {
		return outcome{}, err
	}
	if err := sleep(ctx, fault.Delay); err != nil {
		return outcome{}, err
	}
	if fault.Fail != "" {
		return outcome{failed: true, at: job.Spec.Template.Spec.Containers[0].Name, message: inFleetsForm(fault.Fail)}, nil
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
		return r.execute(ctx, job)
	case <-ctx.Done():
		return outcome{}, ctx.Err()
	}
}

// inFleetsForm writes words as Fleet's command does; of anything else that it finds in a pod Fleet says "Unknown error".
func inFleetsForm(words string) string {
	return fmt.Sprintf(`{"level":"fatal","fleetErrorMessage":%s}`, strconv.Quote(words))
}

// gitRepoOf returns the name of the GitRepo that a Job works for, "" for any other Job.
func gitRepoOf(job *batchv1.Job) string {
	owner := metav1.GetControllerOf(job)
	if owner == nil || owner.Kind != "GitRepo" {
		return ""
	}
	return owner.Name
}

// execute runs the Job's init containers and then its containers, one after the other, each as a process.
func (r *jobs) execute(ctx context.Context, job *batchv1.Job) (end outcome, err error) {
	p := &pod{lab: r.lab, root: r.lab.path("jobs", string(job.UID)), spec: job.Spec.Template.Spec}
	defer func() { err = errors.Join(err, os.RemoveAll(p.root)) }()
	if err := p.mountVolumes(ctx, r.clients, job.Namespace); err != nil {
		return outcome{failed: true, at: p.spec.Containers[0].Name, message: err.Error()}, nil
	}
	for _, c := range append(p.spec.InitContainers, p.spec.Containers...) {
		said, err := p.run(ctx, c)
		if ctx.Err() != nil {
			return outcome{}, fmt.Errorf("given up: %w", ctx.Err())
		}
		if err != nil {
			return outcome{failed: true, at: c.Name, message: said}, nil
		}
	}
	return outcome{}, nil
}
