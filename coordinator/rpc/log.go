package rpc

import (
	"context"
	"errors"

	"coulisse/coordinator/sequencer"
	"coulisse/coordinator/state"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/record"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
)

// Bounds of what is read from the state for a follower at once.
const (
	maxFollow      = 256       // entries
	maxFollowBytes = 128 << 10 // unless a single entry is larger
)

// Submit implements wire.CoordinatorServer. A member submits what it signed
// itself, under a label that members sign.
func (s *Service) Submit(ctx context.Context, req *wire.SubmitRequest) (*wire.SubmitReply, error) {
	if len(req.GetDocument()) > protocol.MaxDocument {
		return nil, s.refuse(protocol.Refuse(protocol.ErrMalformed,
			"un document a au plus %d octets", "a document has at most %d bytes", protocol.MaxDocument))
	}
	// Before it is read: reading is work too.
	if err := s.limits.submit(callingMember(ctx), len(req.GetDocument())); err != nil {
		return nil, s.refuse(err)
	}
	label := protocol.Label(req.GetLabel())
	author, err := protocol.Author(req.GetDocument())
	if err != nil {
		return nil, s.refuse(err)
	}
	if !label.ByMember() || protocol.MemberID(author) != callingMember(ctx) {
		return nil, errNotAuthor
	}
	outcome, err := s.append(ctx, label, req.GetDocument())
	if err != nil {
		return nil, s.refuse(err)
	}
	return &wire.SubmitReply{Seq: outcome.Seq, Already: outcome.Already}, nil
}

// append has a member's document replicated. The state decides, and a refusal
// has cost an entry of consensus by then; so what is in the log already is not
// replicated again, and whoever has been refused often is first held against
// the state as it is, one document after the other.
func (s *Service) append(ctx context.Context, label protocol.Label, document []byte) (outcome state.Outcome, err error) {
	if _, err := s.Leadership.Lead(); err != nil {
		return outcome, err
	}
	if outcome, err = s.present(document); err != nil || outcome.Already {
		return outcome, err
	}
	member := callingMember(ctx)
	if settle, trusted := s.limits.trust(member); trusted {
		outcome, err = s.Log.Append(ctx, label, document)
		settle(err)
		return outcome, err
	}
	done, err := s.limits.distrust(ctx, member)
	if err != nil {
		return outcome, err
	}
	defer done()
	if err := s.Log.Try(label, document); err != nil {
		return outcome, err
	}
	// The next one is tried against what came of this, so it is awaited.
	return s.Log.Append(context.WithoutCancel(ctx), label, document)
}

// present finds a document that is in the log.
func (s *Service) present(document []byte) (outcome state.Outcome, err error) {
	err = s.Log.View(func(tx federation.Tx) error {
		outcome.Seq, outcome.Already = federation.Lookup(tx, document)
		return nil
	})
	return outcome, err
}

// wasted tells what may have cost an entry of consensus for nothing from what
// the log took. A caller that did not wait does not know, and counts.
func wasted(err error) bool {
	return err != nil && !errors.Is(err, federation.ErrAlready) && !errors.Is(err, refusal.ErrNotLeader)
}

// Follow implements wire.CoordinatorServer. Any replica answers; one that is
// behind sends what it has.
func (s *Service) Follow(req *wire.FollowRequest, stream grpc.ServerStreamingServer[wire.FollowReply]) error {
	if req.GetFrom() < 0 {
		return s.refuse(protocol.Refuse(protocol.ErrMalformed,
			"le journal commence à l'entrée 0", "the log begins at entry 0"))
	}
	next := req.GetFrom()
	for {
		grown := s.Log.Grown()
		entries, err := s.entries(next)
		if err != nil {
			return s.refuse(err)
		}
		for _, entry := range entries {
			// The caller may have been expelled since the last one.
			if err := context.Cause(stream.Context()); err != nil {
				return s.refuse(err)
			}
			if err := stream.Send(&wire.FollowReply{Entry: entry}); err != nil {
				return err
			}
		}
		next += int64(len(entries))
		if len(entries) > 0 {
			continue
		}
		select {
		case <-grown:
		case <-stream.Context().Done():
			return s.refuse(context.Cause(stream.Context()))
		}
	}
}

// entries reads a batch of the log.
func (s *Service) entries(from int64) ([][]byte, error) {
	var entries [][]byte
	err := s.Log.View(func(tx federation.Tx) error {
		for size := 0; len(entries) < maxFollow && size < maxFollowBytes; {
			raw, ok := federation.EntryBytes(tx, from+int64(len(entries)))
			if !ok {
				return nil
			}
			entries, size = append(entries, raw), size+len(raw)
		}
		return nil
	})
	return entries, err
}

// Export implements wire.CoordinatorServer.
func (s *Service) Export(ctx context.Context, req *wire.ExportRequest) (*wire.ExportReply, error) {
	id := protocol.RoundID(req.GetRound())
	if err := id.Check(); err != nil {
		return nil, s.refuse(err)
	}
	rec, err := s.record(ctx, id)
	if err != nil {
		return nil, s.refuse(err)
	}
	raw, err := protocol.Canonical(rec)
	if err != nil {
		return nil, s.refuse(err)
	}
	return &wire.ExportReply{Record: raw}, nil
}

// record builds the record and signs the head that its proofs lead to, out of
// one consistent state.
func (s *Service) record(ctx context.Context, id protocol.RoundID) (rec record.Record, err error) {
	err = s.Log.Read(ctx, func(tx federation.Tx) error {
		if rec, err = record.Build(tx, id); err != nil {
			return err
		}
		head, err := federation.Head(tx)
		if err != nil {
			return err
		}
		rec.Heading, err = sequencer.Sign(s.Log, tx, protocol.Heading{Head: head, At: federation.Time(tx)})
		return err
	})
	return rec, err
}
