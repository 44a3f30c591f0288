package coordinator

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"coulisse/crypto/durable"
	"coulisse/protocol"
	"coulisse/protocol/tlog"
	"coulisse/protocol/wire"
)

// fileHead is the largest head of the log that the office was ever told. The
// office keeps no copy of the log, and asks for a proof instead that what it is
// told now grew out of what it was told before.
const fileHead = "head.json"

// seen is a head and when the office first saw it.
type seen struct {
	Head protocol.Head   `json:"head"`
	At   protocol.Millis `json:"at"`
}

// CheckGrowth asks every replica that answered to prove that its log grew out of
// the one that the office saw last, and the replica that has most of it that the
// others' are its beginning: so two histories are found out, also while they
// differ in length. It says what is wrong, and remembers the newest head if
// nothing is.
func (o *Office) CheckGrowth(ctx context.Context, all []ReplicaStatus, now time.Time) ([]protocol.Text, error) {
	last, err := o.lastSeen()
	if err != nil {
		return nil, err
	}
	problems, newest := []protocol.Text{}, seen{At: protocol.At(now)}
	var from ReplicaStatus // whose the newest is
	for _, s := range all {
		head, ok := headOf(s)
		if !ok {
			continue
		}
		if head.Size > newest.Head.Size {
			newest.Head, from = head, s
		}
		switch grew, err := o.grew(ctx, s, last.Head, head); {
		case err != nil:
			problems = append(problems, unproven(s, err))
		case !grew && head.Size >= last.Head.Size:
			problems = append(problems, otherHistory(s, last))
		case s.State == "leader" && o.stays(ctx, s, last.Head.Size):
			problems = append(problems, setBack(s, last, head))
		}
	}
	for _, s := range all {
		head, ok := headOf(s)
		if !ok || s.ID == from.ID {
			continue
		}
		switch grew, err := o.grew(ctx, from, head, newest.Head); {
		case err != nil:
			problems = append(problems, unproven(from, err))
		case !grew && head.Size < newest.Head.Size: // equal sizes: see diverging
			problems = append(problems, parted(s, from))
		}
	}
	if len(problems) == 0 && newest.Head.Size > last.Head.Size {
		return problems, o.keepSeen(newest)
	}
	return problems, nil
}

// headOf is what a replica says its log is.
func headOf(s ReplicaStatus) (protocol.Head, bool) {
	root, err := protocol.ParseHash(s.LogRoot)
	return protocol.Head{Size: s.LogSize, Root: root}, s.Error == "" && err == nil && s.LogSize > 0
}

// settling is more than a leader that was just elected needs to apply what the
// last one had.
const settling = 2 * time.Second

// stays asks a leader that has less than was seen once more.
func (o *Office) stays(ctx context.Context, s ReplicaStatus, size int64) bool {
	if s.LogSize >= size {
		return false
	}
	select {
	case <-ctx.Done():
	case <-time.After(settling):
	}
	o.ask(ctx, &s)
	return s.Error == "" && s.LogSize < size
}

// grew asks a replica for the proof that its log, of that head, begins with the
// one of the head before.
func (o *Office) grew(ctx context.Context, s ReplicaStatus, before, head protocol.Head) (bool, error) {
	if before.Size == 0 || before == head {
		return true, nil
	}
	if before.Size >= head.Size {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	path := []protocol.Hash{}
	err := o.call(s.Address, func(stub wire.CoordinatorClient) error {
		reply, err := stub.Prove(ctx, &wire.ProveRequest{Size: head.Size, What: &wire.ProveRequest_Before{Before: before.Size}})
		for _, raw := range reply.GetPath() {
			if len(raw) != len(protocol.Hash{}) {
				return tlog.ErrProof
			}
			path = append(path, protocol.Hash(raw))
		}
		return err
	})
	if err != nil && !errors.Is(err, tlog.ErrProof) {
		return false, err
	}
	return err == nil && tlog.CheckGrowth(before, head, path) == nil, nil
}

func (o *Office) lastSeen() (last seen, err error) {
	text, err := os.ReadFile(filepath.Join(o.dir, fileHead))
	if errors.Is(err, fs.ErrNotExist) {
		return last, nil
	}
	if err != nil {
		return last, err
	}
	if last, err = protocol.DecodeFile[seen](text); err != nil {
		return last, damaged(fileHead, err)
	}
	return last, nil
}

func (o *Office) keepSeen(s seen) error {
	text, err := protocol.Indented(s)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(o.dir, fileHead), text)
}

func day(at protocol.Millis) string { return at.Time().Format("2006-01-02 15:04 MST") }

func otherHistory(s ReplicaStatus, last seen) protocol.Text {
	return say(
		"Le journal de la réplique %s n'est pas la suite de celui que le bureau a vu le %s (%d entrées). C'est une autre histoire\u00a0: gardez son dossier et le fichier %s comme preuves, et prévenez les membres. L'affaire réglée, déplacez ce fichier ailleurs.",
		"The log of replica %s did not grow out of the one that the office saw on %s (%d entries). It is another history: keep its folder and the file %s as evidence, and tell the members. Once the matter is settled, move that file elsewhere.",
		s.ID, day(last.At), last.Head.Size, fileHead)
}

func setBack(s ReplicaStatus, last seen, head protocol.Head) protocol.Text {
	return say(
		"La réplique %s dirige avec %d entrées de moins que le bureau n'en a vu le %s. Si le coordonnateur a été restauré d'une sauvegarde, complétez-le avec la copie d'un membre\u00a0; sinon, arrêtez-la.",
		"Replica %s leads with %d entries less than the office saw on %s. If the coordinator was restored from a backup, complete it with a member's copy; if not, stop it.",
		s.ID, last.Head.Size-head.Size, day(last.At))
}

func unproven(s ReplicaStatus, err error) protocol.Text {
	return say(
		"La réplique %s n'a pas prouvé que son journal est la suite de ce qui en est connu (%v). Réessayez\u00a0; si cela dure, prévenez les membres.",
		"Replica %s has not proven that its log grew out of what is known of it (%v). Try again; if it lasts, tell the members.",
		s.ID, err)
}

func parted(s, from ReplicaStatus) protocol.Text {
	return say(
		"Le journal de la réplique %s n'est pas le début de celui de %s. Arrêtez celle qui ne mène pas, gardez son dossier comme preuve et prévenez les membres.",
		"The log of replica %s is not the beginning of that of %s. Stop the one that does not lead, keep its folder as evidence and tell the members.",
		s.ID, from.ID)
}
