package rpc

import (
	"context"
	"errors"
	"io"
	"time"

	"coulisse/coordinator/matcher"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
)

// silence is how long an upload may send nothing. The matcher holds its
// source's place meanwhile.
const silence = time.Minute

var errSilent = protocol.Refuse(refusal.ErrUnavailable,
	"l'envoi s'est interrompu; reprenez-le", "the upload stopped coming; go on with it")

// Upload implements wire.CoordinatorServer.
func (s *Service) Upload(stream grpc.BidiStreamingServer[wire.UploadRequest, wire.UploadReply]) error {
	reign, err := s.Leadership.Lead()
	if err != nil {
		return s.refuse(err)
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(reign, func() { cancel(refusal.ErrUnavailable) })()
	upload := receive(ctx, stream)
	first, err := upload.next()
	if err != nil {
		return s.refuse(err)
	}
	round := protocol.RoundID(first.GetHeader().GetRound())
	source := protocol.SourceName(first.GetHeader().GetSource())
	announced, err := s.announced(ctx, round, source)
	if err != nil {
		return s.refuse(err)
	}
	already, err := s.Matcher.Accept(ctx, announced, func(from int64) (io.Reader, error) {
		return upload, stream.Send(&wire.UploadReply{From: from})
	})
	if err == nil && already {
		err = stream.Send(&wire.UploadReply{Already: true})
	}
	return s.refuse(err)
}

// announced finds what the caller said in the log that it would send.
func (s *Service) announced(ctx context.Context, id protocol.RoundID, source protocol.SourceName) (a matcher.Announcement, err error) {
	if err := errors.Join(id.Check(), source.Check()); err != nil {
		return a, err
	}
	err = s.Log.View(func(tx federation.Tx) error {
		r, err := federation.FindRound(tx, id)
		if err != nil {
			return err
		}
		if r.Content().Owner(source) != callingMember(ctx) {
			return protocol.Refuse(federation.ErrRefused, "cette source n'est pas la vôtre", "this source is not yours")
		}
		digest, ok := federation.UploadDigest(tx, id, source)
		if !ok || r.Stage.Ended() {
			return protocol.Refuse(federation.ErrRefused,
				"la ronde n'attend aucun envoi de cette source", "the round expects no upload from this source")
		}
		a = matcher.Announcement{Round: id, Source: source, Manifest: r.Hash, Digest: digest}
		return nil
	})
	return a, err
}

// upload reads the chunks of an upload as one stream of bytes, until its
// context ends or its sender falls silent.
type upload struct {
	ctx    context.Context
	chunks <-chan received
	rest   []byte
}

type received struct {
	*wire.UploadRequest
	err error
}

// receive reads ahead by one message. Its goroutine ends with ctx: Recv fails
// once the handler has returned.
func receive(ctx context.Context, stream grpc.BidiStreamingServer[wire.UploadRequest, wire.UploadReply]) *upload {
	chunks := make(chan received)
	go func() {
		for {
			request, err := stream.Recv()
			select {
			case chunks <- received{request, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return &upload{ctx: ctx, chunks: chunks}
}

func (u *upload) next() (*wire.UploadRequest, error) {
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	select {
	case r := <-u.chunks:
		return r.UploadRequest, r.err // io.EOF at the end of the upload
	case <-u.ctx.Done():
		return nil, context.Cause(u.ctx)
	case <-quiet.C:
		return nil, errSilent
	}
}

// Read implements [io.Reader].
func (u *upload) Read(p []byte) (int, error) {
	for len(u.rest) == 0 {
		next, err := u.next()
		if err != nil {
			return 0, err
		}
		u.rest = next.GetChunk()
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// labelChunk is how many bytes of labels travel in one message.
const labelChunk = 256 << 10

// Collect implements wire.CoordinatorServer.
func (s *Service) Collect(req *wire.CollectRequest, stream grpc.ServerStreamingServer[wire.CollectReply]) error {
	if _, err := s.Leadership.Lead(); err != nil {
		return s.refuse(err)
	}
	round, source := protocol.RoundID(req.GetRound()), protocol.SourceName(req.GetSource())
	if err := s.mayCollect(stream.Context(), round, source); err != nil {
		return s.refuse(err)
	}
	labels, err := s.Matcher.OpenLabels(round, source)
	if err != nil {
		return s.refuse(err)
	}
	defer labels.Close() // only read
	if err := skip(labels, req.GetFrom()); err != nil {
		return s.refuse(err)
	}
	for {
		// A new chunk each time: gRPC may still hold the last one.
		chunk := make([]byte, labelChunk)
		n, err := io.ReadFull(labels, chunk)
		if n > 0 {
			if err := stream.Send(&wire.CollectReply{Chunk: chunk[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err == nil {
			err = context.Cause(stream.Context())
		}
		if err != nil {
			return s.refuse(err)
		}
	}
}

// skip passes over what the caller has.
func skip(labels io.Reader, from int64) error {
	_, err := io.CopyN(io.Discard, labels, max(from, 0))
	if errors.Is(err, io.EOF) {
		return protocol.Refuse(protocol.ErrMalformed, "les étiquettes sont plus courtes que cela", "the labels are shorter than that")
	}
	return err
}

func (s *Service) mayCollect(ctx context.Context, id protocol.RoundID, source protocol.SourceName) error {
	if err := errors.Join(id.Check(), source.Check()); err != nil {
		return err
	}
	return s.Log.View(func(tx federation.Tx) error {
		r, err := federation.FindRound(tx, id)
		if err != nil {
			return err
		}
		m := r.Content()
		if r.Stage != federation.Published || m.Owner(source) != callingMember(ctx) || !m.IsRecipient(source) {
			return protocol.Refuse(federation.ErrRefused,
				"la ronde n'a pas d'étiquettes pour cette source", "the round has no labels for this source")
		}
		return nil
	})
}
