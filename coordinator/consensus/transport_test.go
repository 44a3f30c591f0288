package consensus

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

// raft handles heartbeats on goroutines that its shutdown does not wait for: none
// may be under way, nor begin, once the store is closed.
func TestHeartbeatsEndBeforeTheStore(t *testing.T) {
	trans := &transport{}
	handled, inside, goOn := 0, make(chan struct{}), make(chan struct{})
	beat := func(wait bool) error {
		answer := make(chan raft.RPCResponse, 1)
		trans.beat(raft.RPC{RespChan: answer}, func(rpc raft.RPC) {
			handled++
			if wait {
				close(inside)
				<-goOn
			}
			rpc.Respond(&raft.AppendEntriesResponse{}, nil)
		})
		return (<-answer).Error
	}
	first := make(chan error)
	go func() { first <- beat(true) }()
	<-inside
	silent := make(chan struct{})
	go func() {
		trans.silence()
		close(silent)
	}()
	select {
	case <-silent:
		t.Fatal("the store may be closed under a heartbeat")
	default:
	}
	close(goOn)
	if err := <-first; err != nil {
		t.Error(err)
	}
	<-silent
	if err := beat(false); !errors.Is(err, raft.ErrTransportShutdown) || handled != 1 {
		t.Errorf("%d heartbeats were handled, the last with %v", handled, err)
	}
}
