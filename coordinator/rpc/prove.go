package rpc

import (
	"context"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/tlog"
	"coulisse/protocol/wire"
)

// Prove implements wire.CoordinatorServer. Any replica answers that has the log
// up to the size that is asked for; the caller checks the proof against a
// checkpoint that it holds, so that it need not believe this replica.
func (s *Service) Prove(_ context.Context, req *wire.ProveRequest) (*wire.ProveReply, error) {
	reply := &wire.ProveReply{}
	err := s.Log.View(func(tx federation.Tx) (err error) {
		size := req.GetSize()
		if size < 1 || size > federation.Size(tx) {
			return protocol.Refuse(federation.ErrNotFound,
				"cette réplique n'a pas %d entrées du journal", "this replica does not have %d entries of the log", size)
		}
		var path []protocol.Hash
		switch what := req.GetWhat().(type) {
		case *wire.ProveRequest_Entry:
			if what.Entry < 0 || what.Entry >= size {
				return outside(what.Entry, size)
			}
			reply.Entry, _ = federation.EntryBytes(tx, what.Entry)
			path, err = tlog.Prove(tx, what.Entry, size)
		case *wire.ProveRequest_Before:
			if what.Before < 1 || what.Before > size {
				return outside(what.Before, size)
			}
			path, err = tlog.ProveGrowth(tx, what.Before, size)
		default:
			return protocol.Refuse(protocol.ErrMalformed, "dites ce qui est à prouver", "say what is to be proven")
		}
		for _, h := range path {
			reply.Path = append(reply.Path, h[:])
		}
		return err
	})
	if err != nil {
		return nil, s.refuse(err)
	}
	return reply, nil
}

func outside(what, size int64) error {
	return protocol.Refuse(federation.ErrNotFound,
		"%d n'est pas dans un journal de %d entrées", "%d is not in a log of %d entries", what, size)
}
