package coordinator

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/match"
	"coulisse/protocol/record"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// keyed elects the first three members and takes them through the ceremony.
// Nobody opens the shares: the coordinator only sees the key that follows.
func (c *cluster) keyed(clients []*client) {
	c.t.Helper()
	roll := &protocol.StewardRoll{Threshold: 2}
	for _, p := range clients[:3] {
		roll.Members = append(roll.Members, p.member.ID)
	}
	c.decide(clients, protocol.Effect{ElectStewards: roll})
	c.ceremony(clients)
}

// ceremony takes the stewards through one that makes a key.
func (c *cluster) ceremony(clients []*client) {
	c.t.Helper()
	log := c.log()
	ceremony, _ := federation.CurrentCeremony(log)
	terms, err := ceremony.Terms(c.founding.Genesis.Charter.Namespace)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, p := range clients[:3] {
		post(p, protocol.Hello{Attempt: ceremony.Attempt, Envelope: p.member.Envelope.Public()})
	}
	var dealings []*oprf.Dealing
	for i, p := range clients[:3] {
		dealing, subshares, err := terms.Deal(oprf.Index(i + 1))
		if err != nil {
			c.t.Fatal(err)
		}
		dealings = append(dealings, dealing)
		post(p, c.deal(ceremony.Attempt, clients[:3], p, dealing, subshares))
	}
	public, err := terms.PublicKey(dealings)
	if err != nil {
		c.t.Fatal(err)
	}
	encoded, err := public.MarshalBinary()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, p := range clients[:3] {
		post(p, protocol.Ready{Attempt: ceremony.Attempt, PublicKey: encoded})
	}
}

func (c *cluster) deal(a protocol.Attempt, stewards []*client, from *client, dealing *oprf.Dealing, subshares []oprf.Subshare) protocol.Deal {
	c.t.Helper()
	encoded, err := dealing.MarshalBinary()
	if err != nil {
		c.t.Fatal(err)
	}
	doc := protocol.Deal{Attempt: a, Dealing: encoded}
	for i, to := range stewards {
		secret, err := subshares[i].MarshalBinary()
		if err != nil {
			c.t.Fatal(err)
		}
		sealed, err := seal.Seal(to.member.Envelope.Public(), seal.Context{
			Label: "subshare", Genesis: c.id, Sender: string(from.member.ID), Receiver: string(to.member.ID),
		}, secret)
		if err != nil {
			c.t.Fatal(err)
		}
		doc.Shares = append(doc.Shares, protocol.SealedShare{To: to.member.ID, Sealed: sealed})
	}
	return doc
}

// sourceUpload is what a member's node makes for a round.
type sourceUpload struct {
	name        protocol.SourceName
	bytes, rows []byte
	digest      protocol.Hash
}

// upload makes one of count people from a number on.
func (c *cluster) upload(r federation.Round, keys match.Keys, source protocol.SourceName, first, count int) sourceUpload {
	c.t.Helper()
	w := match.NewWriter(match.WriterConfig{Key: keys.Token, Folder: c.t.TempDir()})
	defer w.Close()
	for person := first; person < first+count; person++ {
		var token [64]byte
		binary.BigEndian.PutUint64(token[:], uint64(person))
		if err := w.Add(&token, match.Row(person)); err != nil {
			c.t.Fatal(err)
		}
	}
	var upload, rows bytes.Buffer
	receipt, err := w.Finish(c.t.Context(), match.Header{Round: r.ID, Manifest: r.Hash, Source: source}, &upload, &rows)
	if err != nil {
		c.t.Fatal(err)
	}
	return sourceUpload{name: source, bytes: upload.Bytes(), rows: rows.Bytes(), digest: receipt.Digest}
}

// put sends an upload to the leader.
func (p *client) put(r federation.Round, source protocol.SourceName, content []byte) (reply *wire.UploadReply, err error) {
	err = p.atLeader(func(ctx context.Context, stub wire.CoordinatorClient) error {
		stream, err := stub.Upload(ctx)
		if err != nil {
			return err
		}
		header := &wire.UploadHeader{Round: string(r.ID), Source: string(source)}
		if err := stream.Send(&wire.UploadRequest{Header: header}); err != nil && !errors.Is(err, io.EOF) {
			return err
		} // refused at once: the reason comes below
		if reply, err = stream.Recv(); err != nil || reply.GetAlready() {
			return err
		}
		for chunk := range slices.Chunk(content[reply.GetFrom():], 4096) {
			if err := stream.Send(&wire.UploadRequest{Chunk: chunk}); errors.Is(err, io.EOF) {
				break // refused; the reason comes below
			} else if err != nil {
				return err
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		if _, err = stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		}
		return err
	})
	return reply, err
}

// collect fetches labels from the leader, once they are ready. A leader that
// does not have them needs the uploads again.
func (p *client) collect(r federation.Round, source protocol.SourceName, resend func()) ([]byte, error) {
	var labels bytes.Buffer
	for {
		err := p.atLeader(func(ctx context.Context, stub wire.CoordinatorClient) error {
			labels.Reset()
			stream, err := stub.Collect(ctx, &wire.CollectRequest{Round: string(r.ID), Source: string(source)})
			if err != nil {
				return err
			}
			for {
				reply, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				labels.Write(reply.GetChunk())
			}
		})
		if !errors.Is(err, refusal.ErrNotReady) || p.c.t.Context().Err() != nil {
			return labels.Bytes(), err
		}
		resend()
		pause(p.c.t.Context(), 10*time.Millisecond)
	}
}

func (c *cluster) manifest(clients []*client) protocol.Manifest {
	c.t.Helper()
	view, err := federation.View(c.log())
	if err != nil {
		c.t.Fatal(err)
	}
	title := protocol.Text{FR: "Amateurs de danse", EN: "Dance lovers"}
	m := protocol.Manifest{
		Round: "00112233445566778899aabbccddeeff", Operation: protocol.OperationMatch, Title: title,
		Noise:    protocol.Noise{Total: 400, Sources: 400},
		Policies: view.Last, Epoch: 1, Deadline: protocol.At(c.now().Add(time.Hour)),
	}
	rule := &protocol.AtLeast{T: 2}
	for _, p := range clients {
		name := protocol.SourceName("source-" + string(p.member.ID))
		m.Sources = append(m.Sources, protocol.Source{
			Name: name, Member: p.member.ID,
			Definition: protocol.Definition{Name: "danse", Title: title, Disciplines: []string{"dance"}},
		})
		rule.Of = append(rule.Of, name)
	}
	m.Rule, m.Recipients = protocol.Rule{AtLeast: rule}, rule.Of[:1]
	return m
}

func (c *cluster) round(id protocol.RoundID) federation.Round {
	c.t.Helper()
	r, err := federation.FindRound(c.log(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *cluster) untilStage(id protocol.RoundID, stage federation.Stage) federation.Round {
	c.t.Helper()
	c.until("the round is "+string(stage), func(log *federation.Memory) bool {
		r, err := federation.FindRound(log, id)
		return err == nil && r.Stage == stage
	})
	return c.round(id)
}

// A whole round, with a leader lost while uploads come in, and another one
// between the result and the labels.
func TestARoundSurvivesItsLeaders(t *testing.T) {
	c := found(t, 4)
	clients := c.enrolAll()
	c.keyed(clients)
	m := c.manifest(clients[:3])
	post(clients[0], m)
	r := c.round(m.Round)
	for _, p := range clients[:3] {
		post(p, protocol.Ack{RoundRef: r.Ref()})
	}
	c.untilStage(r.ID, federation.Reserved)
	keys := match.Derive(match.NewRoundKey(), r.Hash)
	for _, p := range clients[:3] {
		post(p, protocol.KeyConfirm{RoundRef: r.Ref(), MAC: keys.Confirm()})
	}
	// 0–699, 400–1099, 800–1499: 300 and 300 people are known to two.
	var uploads []sourceUpload
	for i := range clients[:3] {
		uploads = append(uploads, c.upload(r, keys, m.Sources[i].Name, 400*i, 700))
	}
	if _, err := clients[0].put(r, uploads[0].name, uploads[0].bytes); !errors.Is(err, federation.ErrRefused) {
		t.Error("an upload that was not announced:", err)
	}
	for i, p := range clients[:3] {
		post(p, protocol.Upload{RoundRef: r.Ref(), Source: uploads[i].name, Digest: uploads[i].digest})
	}
	c.refuseUploads(r, clients, uploads)

	send := func(i int) {
		t.Helper()
		if _, err := clients[i].put(r, uploads[i].name, uploads[i].bytes); err != nil {
			t.Fatal(err)
		}
	}
	send(0)
	if reply, err := clients[0].put(r, uploads[0].name, uploads[0].bytes); err != nil || !reply.GetAlready() {
		t.Error("the same upload again:", reply, err)
	}
	send(1)
	first := c.leader()
	c.stop(first)
	// As nodes do, until the round has its result.
	resend := func() {
		for i := range uploads {
			send(i)
		}
	}
	c.until("the round is published", func(log *federation.Memory) bool {
		resend()
		found, err := federation.FindRound(log, r.ID)
		return err == nil && found.Stage == federation.Published
	})
	r = c.round(r.ID)
	c.checkResult(r)

	if err := c.start(first); err != nil {
		t.Fatal(err)
	}
	c.settle()
	c.stop(c.leader())
	c.checkLabels(r, clients, uploads, resend)
	post(clients[0], protocol.Collected{RoundRef: r.Ref(), Source: uploads[0].name})
	c.untilStage(r.ID, federation.Closed)
	c.checkRecord(r, clients[0])
	c.untilSwept()
}

func (c *cluster) refuseUploads(r federation.Round, clients []*client, uploads []sourceUpload) {
	c.t.Helper()
	for name, try := range map[string]struct {
		by      *client
		source  protocol.SourceName
		content []byte
		want    error
	}{
		"of nobody":        {clients[0], "nothing", uploads[0].bytes, federation.ErrRefused},
		"of another":       {clients[1], uploads[0].name, uploads[0].bytes, federation.ErrRefused},
		"by an outsider":   {clients[3], uploads[0].name, uploads[0].bytes, federation.ErrRefused},
		"cut short":        {clients[0], uploads[0].name, uploads[0].bytes[:len(uploads[0].bytes)-1], protocol.ErrMalformed},
		"too long":         {clients[0], uploads[0].name, append(slices.Clone(uploads[0].bytes), 0), protocol.ErrMalformed},
		"with other bytes": {clients[0], uploads[0].name, uploads[1].bytes, protocol.ErrMalformed},
		"empty":            {clients[0], uploads[0].name, []byte{0}, protocol.ErrMalformed},
	} {
		if _, err := try.by.put(r, try.source, try.content); !errors.Is(err, try.want) {
			c.t.Errorf("an upload %s: %v", name, err)
		}
	}
	if _, err := clients[0].put(federation.Round{ID: "not-a-round"}, "x1", []byte{0}); !errors.Is(err, protocol.ErrMalformed) {
		c.t.Errorf("an upload to no round: %v", err)
	}
}

// checkResult holds the figures against the true ones, 600 and 300, 600, 300,
// with noise of sigma 20: six sigma are never exceeded.
func (c *cluster) checkResult(r federation.Round) {
	c.t.Helper()
	figures := []protocol.Figure{r.Result.Size}
	for _, s := range r.Result.Sources {
		figures = append(figures, s.Figure)
	}
	for i, exact := range []int64{600, 300, 600, 300} {
		if f := figures[i]; f.Suppressed != "" || f.Value < exact-120 || f.Value > exact+120 || f.Low > f.Value || f.High < f.Value {
			c.t.Errorf("figure %d: %+v, the true one is %d", i, f, exact)
		}
	}
}

func (c *cluster) checkLabels(r federation.Round, clients []*client, uploads []sourceUpload, resend func()) {
	c.t.Helper()
	if _, err := clients[1].collect(r, uploads[1].name, resend); !errors.Is(err, federation.ErrRefused) {
		c.t.Error("labels for somebody who is no recipient:", err)
	}
	if _, err := clients[1].collect(r, uploads[0].name, resend); !errors.Is(err, federation.ErrRefused) {
		c.t.Error("labels of another:", err)
	}
	labels, err := clients[0].collect(r, uploads[0].name, resend)
	if err != nil {
		c.t.Fatal(err)
	}
	bits, err := match.NewLabelReader(bytes.NewReader(labels), match.MaxRecords)
	if err != nil {
		c.t.Fatal(err)
	}
	rows, err := match.NewRowReader(bytes.NewReader(uploads[0].rows))
	if err != nil {
		c.t.Fatal(err)
	}
	held := 0
	err = match.Labelled(bits, rows, func(row match.Row) error {
		if row < 400 || row >= 700 {
			return fmt.Errorf("person %d is not known to two members", row)
		}
		held++
		return nil
	})
	if err != nil || held != 300 {
		c.t.Errorf("%d people are labelled, not 300: %v", held, err)
	}
}

func (c *cluster) checkRecord(r federation.Round, p *client) {
	c.t.Helper()
	err := p.atLeader(func(ctx context.Context, stub wire.CoordinatorClient) error {
		reply, err := stub.Export(ctx, &wire.ExportRequest{Round: string(r.ID)})
		if err != nil {
			return err
		}
		rec, err := protocol.Decode[record.Record](reply.GetRecord())
		if err != nil {
			return err
		}
		_, err = rec.Verify(c.id)
		return err
	})
	if err != nil {
		c.t.Error("the record of the round:", err)
	}
}

// untilSwept waits until no replica holds an upload.
func (c *cluster) untilSwept() {
	c.t.Helper()
	var left []string
	for range 200 {
		left = nil
		for _, p := range c.peers {
			found, err := filepath.Glob(filepath.Join(c.dir, string(p.ID), dirRounds, "*"))
			if err != nil {
				c.t.Fatal(err)
			}
			left = append(left, found...)
		}
		if len(left) == 0 {
			return
		}
		pause(c.t.Context(), 10*time.Millisecond)
	}
	c.t.Error("uploads of a closed round are left:", left)
}

// Rounds that cannot go on end at the leader's word.
func TestRoundsEndUnasked(t *testing.T) {
	c := found(t, 3)
	clients := c.enrolAll()
	c.keyed(clients)
	// Five rounds of that noise use the budget up.
	dear := c.manifest(clients)
	dear.Noise = protocol.Noise{Total: 100, Sources: 100}
	var last federation.Round
	for n := range 6 {
		dear.Round = protocol.RoundID(fmt.Sprintf("%032x", n))
		post(clients[n%3], dear)
		last = c.round(dear.Round)
		for _, p := range clients {
			post(p, protocol.Ack{RoundRef: last.Ref()})
		}
		c.until("the reservation or the refusal", func(log *federation.Memory) bool {
			r, err := federation.FindRound(log, last.ID)
			return err == nil && r.Stage != federation.Proposed && r.Stage != federation.Accepted
		})
	}
	if r := c.round(last.ID); r.Stage != federation.Refused || r.Reason == nil {
		t.Fatalf("a round beyond the budget is %s", r.Stage)
	}
	waiting := c.manifest(clients)
	post(clients[0], waiting)
	c.ahead.Add(int64(2 * time.Hour))
	c.untilStage(waiting.Round, federation.Aborted)
	ledger, err := federation.ReadLedger(c.log())
	if err != nil || ledger.Reserved != 0 || ledger.Spent != 0 {
		t.Errorf("rounds that were never opened cost something: %+v %v", ledger, err)
	}
}
