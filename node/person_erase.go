package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"coulisse/crypto/seal"
	"coulisse/node/identity"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// An erasure is written down before its first step and until its last: a
// process may end at any point, and the next one goes on. The steps may each be
// done again. What is written down has the person's number, sealed, and no
// identifier.

// Names in the folder of erasures.
const (
	dirErasures   = "erasures"
	fileErased    = "erased.age" // who is kept out
	erasureSuffix = ".age"       // an erasure under way
	receiptSuffix = ".receipt.json"
)

// ErasureStage is how far an erasure is.
type ErasureStage string

// The stages of an erasure.
const (
	// ErasureBegun: the person is being taken out. If that fails, the node
	// tries again by itself.
	ErasureBegun ErasureStage = "begun"
	// ErasureWaits: nothing of the person is left but a pseudonym in uploads of
	// rounds under way, which are deleted when those end.
	ErasureWaits ErasureStage = "waits"
	// ErasureDone: nothing is left. There is a receipt.
	ErasureDone ErasureStage = "done"
	// erasureOfName: an identifier that was rectified is being taken out.
	erasureOfName ErasureStage = "name"
)

// Erasure is one, for whoever asked for it.
type Erasure struct {
	ID     string             `json:"id"`
	At     protocol.Millis    `json:"at_ms"`
	Stage  ErasureStage       `json:"stage"`
	Rounds []protocol.RoundID `json:"rounds,omitempty"` // that it waits for
	// Receipt is the signed receipt of one that is done.
	Receipt *protocol.Signed[ErasureReceipt] `json:"receipt,omitempty"`
}

// erasure is one under way, as it is sealed.
type erasure struct {
	ID     string             `json:"id"`
	At     protocol.Millis    `json:"at_ms"`
	Person warehouse.PersonID `json:"person"`
	Stage  ErasureStage       `json:"stage"`
	// What was there when it began.
	Removed   []Removed          `json:"removed"`
	Audiences []DependentRound   `json:"audiences"`
	Rounds    []protocol.RoundID `json:"rounds"` // whose end it waits for
}

// Erase takes a person out of everything that the node has, and keeps the
// person out of later imports. It returns when nothing is left, or nothing but
// what goes by itself; see [ErasureStage].
func (h *House) Erase(ctx context.Context, id warehouse.PersonID) (Erasure, error) {
	h.erasing.Lock()
	defer h.erasing.Unlock()
	e, names, err := h.planErasure(ctx, id)
	if err != nil {
		return Erasure{}, err
	}
	// First, so that nothing brings the person back; then what remembers to go on.
	if err := h.erased.add(ErasedNote{Erasure: e.ID, At: e.At}, names...); err != nil {
		return Erasure{}, fmt.Errorf("keep a person out: %w", err)
	}
	if err := h.keepErasure(e); err != nil {
		return Erasure{}, err
	}
	state, err := h.advanceErasure(ctx, e)
	if errors.Is(err, warehouse.ErrBusy) { // the node goes on by itself
		return Erasure{ID: e.ID, At: e.At, Stage: ErasureBegun}, nil
	}
	return state, err
}

func newErasure(id warehouse.PersonID, stage ErasureStage) erasure {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	return erasure{
		ID: hex.EncodeToString(random[:]), At: protocol.At(time.Now()), Person: id, Stage: stage,
		Removed: []Removed{}, Audiences: []DependentRound{}, Rounds: []protocol.RoundID{},
	}
}

// planErasure finds what is to go.
func (h *House) planErasure(ctx context.Context, id warehouse.PersonID) (e erasure, names []name, err error) {
	page, err := h.Person(ctx, id)
	if err != nil {
		return e, nil, err
	}
	e = newErasure(id, ErasureBegun)
	e.Removed = removedOf(page)
	if names, err = h.namesToKeepOut(ctx, page); err != nil {
		return e, nil, err
	}
	if h.pool != nil {
		e.Audiences, err = h.pool.dependent()
	}
	return e, names, err
}

// namesToKeepOut are those by which a later file, or the spool, could bring a
// person back. A telephone that others have too is theirs.
func (h *House) namesToKeepOut(ctx context.Context, page PersonPage) (names []name, err error) {
	for _, i := range page.Identities {
		if i.Principal || i.Kind != identity.KindPhone {
			names = append(names, name{string(i.Kind), i.Value})
			continue
		}
		phone, err := identity.Restore(i.Kind, i.Value)
		if err != nil {
			return nil, errors.New("a stored telephone is not one")
		}
		others, err := h.warehouse.Find(ctx, warehouse.Traits{Phone: phone})
		if err != nil {
			return nil, err
		}
		if len(others) == 1 {
			names = append(names, nameOf(phone))
		}
	}
	for _, t := range page.Held {
		if t.Table != "visitors" {
			continue
		}
		for _, row := range t.Rows {
			var declared struct{ Kind, Value string }
			if json.Unmarshal(row, &declared) == nil && declared.Kind == kindAccount {
				names = append(names, name{kindAccount, declared.Value})
			}
		}
	}
	return names, nil
}

// advanceErasure takes an erasure as far as it goes. erasing is held.
func (h *House) advanceErasure(ctx context.Context, e erasure) (Erasure, error) {
	if e.Stage == ErasureBegun {
		if err := h.takeOut(ctx, &e); err != nil {
			return Erasure{}, fmt.Errorf("erase a person: %w", err)
		}
	}
	state := Erasure{ID: e.ID, At: e.At, Stage: ErasureWaits}
	if h.pool != nil && len(e.Rounds) > 0 {
		under, err := h.pool.sent(ctx)
		if err != nil {
			return Erasure{}, err
		}
		state.Rounds = slices.DeleteFunc(slices.Clone(e.Rounds), func(r protocol.RoundID) bool { return !slices.Contains(under, r) })
	}
	if len(state.Rounds) > 0 {
		return state, nil
	}
	receipt, err := h.signReceipt(e)
	if err != nil {
		return state, err
	}
	if err := h.forgetErasure(e); err != nil {
		return state, err
	}
	h.logger.InfoContext(ctx, "a person was erased", "erasure", e.ID)
	state.Stage, state.Receipt = ErasureDone, &receipt
	return state, nil
}

// eraseName takes the former identifier of a person out of what was made of it.
// erasing is held.
func (h *House) eraseName(ctx context.Context, e erasure) error {
	if h.pool != nil {
		if err := h.pool.retokenise(ctx, e.Person); err != nil {
			return err
		}
	}
	if err := h.warehouse.Rewrite(ctx); err != nil {
		return err
	}
	return h.forgetErasure(e)
}

// takeOut does all that does not depend on others. The warehouse is first: what
// is made from now on does not have the person. Its file is rewritten last,
// which takes longest and waits for readers.
func (h *House) takeOut(ctx context.Context, e *erasure) error {
	if _, err := h.warehouse.Erase(ctx, e.Person); err != nil {
		return err
	}
	if h.pool != nil {
		var err error
		if e.Rounds, err = h.pool.erase(ctx, e.Person); err != nil {
			return err
		}
	}
	if err := h.warehouse.Rewrite(ctx); err != nil {
		return err
	}
	e.Stage = ErasureWaits
	return h.keepErasure(*e)
}

// openErasures opens the folder of erasures.
func (h *House) openErasures() (err error) {
	if err := os.MkdirAll(h.folder.path(dirErasures), 0o700); err != nil {
		return err
	}
	h.erased, err = openErasedList(h.folder.path(filepath.Join(dirErasures, fileErased)), h.folder.identity)
	if err != nil {
		return fmt.Errorf("open the list of who was erased: %w", err)
	}
	return nil
}

func (h *House) erasurePath(id string) string {
	return h.folder.path(filepath.Join(dirErasures, id+erasureSuffix))
}

func (h *House) keepErasure(e erasure) error {
	raw, err := protocol.Canonical(e)
	if err == nil {
		err = seal.WriteFile(h.erasurePath(e.ID), []seal.Recipient{h.folder.identity.Recipient()}, raw)
	}
	if err != nil {
		return fmt.Errorf("write an erasure down: %w", err)
	}
	return nil
}

// forgetErasure ends an erasure.
func (h *House) forgetErasure(e erasure) error {
	if err := os.Remove(h.erasurePath(e.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end an erasure: %w", err)
	}
	return nil
}

// erasuresUnderWay reads those that have not ended.
func (h *House) erasuresUnderWay() ([]erasure, error) {
	paths, err := filepath.Glob(h.erasurePath("*"))
	if err != nil {
		return nil, err
	}
	var under []erasure
	for _, path := range paths {
		if filepath.Base(path) == fileErased {
			continue
		}
		raw, err := seal.ReadFile(path, h.folder.identity, maxKeyFile<<6)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var e erasure
		if err == nil {
			e, err = protocol.Decode[erasure](raw)
		}
		if err != nil {
			return under, fmt.Errorf("read an erasure under way: %w", err)
		}
		under = append(under, e)
	}
	return under, nil
}

// keepErasing goes on with erasures that an ended process left, that wait for
// rounds, or that failed for a while.
func (h *House) keepErasing(ctx context.Context) {
	every(ctx, tryAgain, func() {
		if err := h.continueErasures(ctx); err != nil && ctx.Err() == nil {
			h.logger.WarnContext(ctx, "an erasure will be tried again", "reason", err)
		}
	})
}

func (h *House) continueErasures(ctx context.Context) error {
	h.erasing.Lock()
	defer h.erasing.Unlock()
	under, err := h.erasuresUnderWay()
	for _, e := range under {
		var failed error
		if e.Stage == erasureOfName {
			failed = h.eraseName(ctx, e)
		} else {
			_, failed = h.advanceErasure(ctx, e)
		}
		err = errors.Join(err, failed)
	}
	return err
}

// Readmit lets an erased identifier in again: the person came back and said so.
func (h *House) Readmit(words, region string) error {
	for _, n := range namesOf(traitsOf(words, region)) {
		if was, err := h.erased.drop(n); was || err != nil {
			return err
		}
	}
	return ErrNobody
}

// Erasures lists those under way, and the receipts of the others, the latest
// first.
func (h *House) Erasures() ([]Erasure, error) {
	h.erasing.Lock()
	defer h.erasing.Unlock()
	under, err := h.erasuresUnderWay()
	if err != nil {
		return nil, err
	}
	list := []Erasure{}
	for _, e := range under {
		if e.Stage == erasureOfName {
			continue
		}
		list = append(list, Erasure{ID: e.ID, At: e.At, Stage: e.Stage, Rounds: e.Rounds})
	}
	receipts, err := filepath.Glob(h.folder.path(filepath.Join(dirErasures, "*"+receiptSuffix)))
	if err != nil {
		return nil, err
	}
	for _, path := range receipts {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		signed, err := protocol.DecodeFile[protocol.Signed[ErasureReceipt]](raw)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
		}
		receipt, err := protocol.Peek(signed)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
		}
		if slices.ContainsFunc(list, func(e Erasure) bool { return e.ID == receipt.Erasure }) {
			continue // ended a moment before the process did; it will be noticed
		}
		list = append(list, Erasure{ID: receipt.Erasure, At: receipt.Asked, Stage: ErasureDone, Receipt: &signed})
	}
	slices.SortFunc(list, func(a, b Erasure) int {
		if a.At != b.At {
			return int(max(-1, min(1, b.At-a.At)))
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list, nil
}
