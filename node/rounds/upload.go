package rounds

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/bits"
	"os"
	"path/filepath"
	"time"

	"coulisse/crypto/durable"
	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/author"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/match"
)

// Names in a round's folder. The key, the rows and the labels are sealed; the
// upload is pseudonyms that the matcher sees anyway. All go when the round
// ends, but for the labels.
const (
	fileKey    = "key.age"
	fileLabels = ".labels.age"
	fileUpload = ".upload"
	fileRows   = ".rows.age"
)

func (r *Rounds) folder(id protocol.RoundID) string { return filepath.Join(r.cfg.Dir, string(id)) }

func (r *Rounds) keep(id protocol.RoundID, name string, secret []byte) error {
	if err := os.MkdirAll(r.folder(id), 0o700); err != nil {
		return err
	}
	if err := durable.SyncFolder(r.cfg.Dir); err != nil { // in which the folder may be new
		return err
	}
	return seal.WriteFile(filepath.Join(r.folder(id), name), []seal.Recipient{r.cfg.Identity.Recipient()}, secret)
}

func (r *Rounds) roundKey(id protocol.RoundID) (match.RoundKey, error) {
	raw, err := seal.ReadFile(filepath.Join(r.folder(id), fileKey), r.cfg.Identity, 1024)
	if err != nil {
		return match.RoundKey{}, err
	}
	return match.ParseRoundKey(raw)
}

// upload makes what this member owes, announces it, and sees to it that the
// matcher of the day has it.
func (r *Rounds) upload(ctx context.Context, round federation.Round, m protocol.Manifest) error {
	reign, err := r.cfg.Matcher.Reign(ctx)
	if err != nil {
		return err
	}
	for _, source := range m.Sources {
		if source.Member != r.self() {
			continue
		}
		err := r.announce(ctx, round, m, source)
		if err == nil {
			err = r.send(ctx, round, source, reign)
		}
		if errors.Is(err, errLost) && round.Stage != federation.Published {
			return r.giveUp(ctx, round)
		}
		if err != nil {
			return fmt.Errorf("source %s: %w", source.Name, err)
		}
	}
	return nil
}

// errLost: the folder has no more what this member has told the others it has.
var errLost = errors.New("the key or the upload of the round is not in the node's folder any more")

// lost marks what should be there and is not.
func lost(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errLost
	}
	return err
}

// giveUp ends a round for which this member cannot do its part any more: it has
// confirmed a key or announced an upload, and its folder has neither. Another
// upload would not be the announced one; the others need not wait in vain.
func (r *Rounds) giveUp(ctx context.Context, round federation.Round) error {
	return author.Post(ctx, r.cfg.Author, protocol.Abort{RoundRef: round.Ref(), Reason: protocol.Text{
		FR: "Un participant a perdu la clé ou le téléversement de cette ronde. Recommencez avec un nouveau manifeste.",
		EN: "A participant has lost the key or the upload of this round. Start again with a new manifest.",
	}})
}

// announce makes the upload, once, and posts its digest. The file is in place
// before the digest is posted: what was announced can always be sent.
func (r *Rounds) announce(ctx context.Context, round federation.Round, m protocol.Manifest, source protocol.Source) error {
	var announced bool
	err := r.cfg.Author.Witness.View(func(tx federation.Tx) error {
		_, announced = federation.UploadDigest(tx, round.ID, source.Name)
		return nil
	})
	if err != nil || announced {
		return err
	}
	select {
	case r.making <- struct{}{}:
		defer func() { <-r.making }()
	case <-ctx.Done():
		return ctx.Err()
	}
	// Nothing goes on after the deadline, and others may wait for this place.
	bounded, cancel := context.WithDeadline(ctx, m.Deadline.Time().Add(grace))
	defer cancel()
	digest, err := r.make(bounded, round, m, source)
	if err != nil {
		return err
	}
	return author.Post(ctx, r.cfg.Author, protocol.Upload{RoundRef: round.Ref(), Source: source.Name, Digest: digest})
}

// grace is how far this node's clock may be off the leader's.
const grace = time.Minute

// make writes the upload of a source: the tokens of those whom its definition
// fits and who consent.
func (r *Rounds) make(ctx context.Context, round federation.Round, m protocol.Manifest, source protocol.Source) (protocol.Hash, error) {
	if digest, err := r.made(round.ID, source.Name); err == nil {
		return digest, nil
	} // else there is none, or it is damaged; nothing was announced yet
	key, err := r.roundKey(round.ID)
	if err != nil {
		return protocol.Hash{}, lost(err)
	}
	var writer *match.Writer
	err = r.cfg.Tokeniser.Use(ctx, m.Epoch, func(cache *tokens.Cache) (err error) {
		writer, err = r.fill(ctx, match.Derive(key, round.Hash).Token, cache, source)
		return err
	})
	if err != nil {
		return protocol.Hash{}, err
	}
	defer writer.Close()
	return r.finishUpload(ctx, writer, match.Header{Round: round.ID, Manifest: round.Hash, Source: source.Name}, m.IsRecipient(source.Name))
}

// fill adds the tokens of the source's people. The people are a bit each in
// memory; the tokens pass by.
func (r *Rounds) fill(ctx context.Context, key match.TokenKey, cache *tokens.Cache, source protocol.Source) (*match.Writer, error) {
	var wanted people
	for id, err := range r.cfg.Warehouse.Evaluate(ctx, source.Definition, protocol.PurposePooling) {
		if err != nil {
			return nil, err
		}
		wanted.add(id)
	}
	writer := match.NewWriter(match.WriterConfig{Key: key, Folder: r.cfg.Dir, People: wanted.count})
	err := cache.Select(ctx, wanted.all(), func(id warehouse.PersonID, token *oprf.Token) error {
		return writer.Add((*[64]byte)(token), match.Row(id))
	})
	if err != nil {
		writer.Close()
		return nil, err
	}
	return writer, nil
}

// people is a set of person numbers, which are dense.
type people struct {
	bits  []uint64
	count int
}

// add adds somebody who is not in it.
func (p *people) add(id warehouse.PersonID) {
	for int(id/64) >= len(p.bits) {
		p.bits = append(p.bits, make([]uint64, 1+len(p.bits))...)
	}
	p.bits[id/64] |= 1 << (id % 64)
	p.count++
}

// all lists them in order.
func (p *people) all() iter.Seq2[warehouse.PersonID, error] {
	return func(yield func(warehouse.PersonID, error) bool) {
		for i, word := range p.bits {
			for ; word != 0; word &= word - 1 {
				if !yield(warehouse.PersonID(64*i+bits.TrailingZeros64(word)), nil) {
					return
				}
			}
		}
	}
}

func (r *Rounds) uploadPath(id protocol.RoundID, source protocol.SourceName) string {
	return filepath.Join(r.folder(id), string(source)+fileUpload)
}

func (r *Rounds) rowsPath(id protocol.RoundID, source protocol.SourceName) string {
	return filepath.Join(r.folder(id), string(source)+fileRows)
}

// made reads the digest of an upload that an earlier call finished.
func (r *Rounds) made(id protocol.RoundID, source protocol.SourceName) (protocol.Hash, error) {
	file, err := os.Open(r.uploadPath(id, source))
	if err != nil {
		return protocol.Hash{}, err
	}
	defer file.Close()
	reader, err := match.NewReader(file, match.MaxRecords)
	if err != nil {
		return protocol.Hash{}, err
	}
	if err := reader.Drain(); err != nil {
		return protocol.Hash{}, err
	}
	return reader.Digest(), nil
}

// finishUpload puts the upload in place last: while it is missing, everything
// beside it is made again.
func (r *Rounds) finishUpload(ctx context.Context, writer *match.Writer, h match.Header, recipient bool) (protocol.Hash, error) {
	path := r.uploadPath(h.Round, h.Source)
	file, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return protocol.Hash{}, err
	}
	defer file.Close()
	receipt, err := r.finishRows(ctx, writer, h, file, recipient)
	if err != nil {
		return protocol.Hash{}, err
	}
	if err := file.Sync(); err != nil {
		return protocol.Hash{}, err
	}
	if err := os.Rename(path+".part", path); err != nil {
		return protocol.Hash{}, err
	}
	// Its name must survive a power cut before its digest is announced.
	return receipt.Digest, durable.SyncFolder(filepath.Dir(path))
}

func (r *Rounds) finishRows(ctx context.Context, writer *match.Writer, h match.Header, upload *os.File, recipient bool) (match.Receipt, error) {
	if !recipient {
		return writer.Finish(ctx, h, upload, nil)
	}
	rows, err := seal.Create(r.rowsPath(h.Round, h.Source), r.cfg.Identity.Recipient())
	if err != nil {
		return match.Receipt{}, err
	}
	defer rows.Discard()
	receipt, err := writer.Finish(ctx, h, upload, rows)
	if err != nil {
		return receipt, err
	}
	return receipt, rows.Commit()
}

// send gives the matcher the announced bytes, once a reign.
func (r *Rounds) send(ctx context.Context, round federation.Round, source protocol.Source, reign string) error {
	r.mu.Lock()
	stored := r.work[round.ID].sent[source.Name] == reign
	r.mu.Unlock()
	if stored {
		return nil
	}
	file, err := os.Open(r.uploadPath(round.ID, source.Name))
	if err != nil {
		return lost(err)
	}
	defer file.Close()
	if err := r.cfg.Matcher.Upload(ctx, round.ID, source.Name, file); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.work[round.ID].sent[source.Name] = reign
	return nil
}

// clear deletes what must not outlive a round. The labels that the member
// received stay until it deletes them.
func (r *Rounds) clear(id protocol.RoundID) error {
	return os.RemoveAll(r.folder(id))
}
