package rpc

import (
	"context"

	"coulisse/coordinator/sequencer"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/record"
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
	label := protocol.Label(req.GetLabel())
	author, err := protocol.Author(req.GetDocument())
	if err != nil {
		return nil, s.refuse(err)
	}
	if !label.ByMember() || protocol.MemberID(author) != callingMember(ctx) {
		return nil, errNotAuthor
	}
	outcome, err := s.Log.Append(ctx, label, req.GetDocument())
	if err != nil {
		return nil, s.refuse(err)
	}
	return &wire.SubmitReply{Seq: outcome.Seq, Already: outcome.Already}, nil
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
