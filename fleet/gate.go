package fleet

import (
	"context"
	"sync"
)

// gate counts what is under way and, once it is closed, lets nothing in any
// more. It is what a sync.WaitGroup cannot be here: a Reflector that ends may
// have left a goroutine behind that is only about to ask for a list.
type gate struct {
	mu     sync.Mutex
	inside int
	closed chan struct{} // not nil once close was called; closed when nobody is inside
}

// enter returns nil, and leave must follow, or context.Canceled when the gate
// is closed.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		return context.Canceled
	}
	g.inside++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.closed != nil {
		close(g.closed)
	}
}

// close lets nobody in from now on, and returns when nobody is inside. It is
// called once.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = make(chan struct{})
	if g.inside == 0 {
		close(g.closed)
	}
	g.mu.Unlock()
	<-g.closed
}
