package coordinator

import (
	"errors"
	"fmt"
	"sort"

	"coulisse/crypto/durable"
	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/tlog"
)

// history is a log that somebody has kept, verified from the genesis on.
type history struct {
	name string // the file or folder that it comes from
	log  *federation.Memory
	head protocol.Head
	// stated is a checkpoint of its beginning, which a replica has signed.
	// Nobody has vouched for what comes after it.
	stated checkpoint.Checkpoint
}

// LeftOut says how much of a file was not taken: entries that no replica had
// vouched for, where another file has others that one had.
type LeftOut struct {
	File    string `json:"file"`
	Entries int64  `json:"entries"`
}

// continued returns the longer of two histories if one begins with the other.
// If they part, the one whose parting entry a replica has signed stands; if
// both are signed, that is a fork, and the proof is written beside dir.
func continued(a, b history, dir string) (history, *LeftOut, error) {
	if a.head.Size < b.head.Size {
		a, b = b, a
	}
	at, err := parting(a, b)
	if err != nil || at == b.head.Size {
		return a, nil, err
	}
	signedA, signedB := at < a.stated.Head.Size, at < b.stated.Head.Size
	switch {
	case signedA && signedB:
		return a, nil, forked(a, b, at, dir)
	case signedA:
		return a, &LeftOut{b.name, b.head.Size - at}, nil
	case signedB:
		return b, &LeftOut{a.name, a.head.Size - at}, nil
	}
	return a, nil, protocol.Refuse(ErrFork,
		"les journaux %s et %s ne sont plus les mêmes à partir de l'entrée %d, après leur dernier point de contrôle; aucun ne prouve qu'il est le bon; demandez une copie à d'autres membres, et laissez de côté celui qu'ils contredisent",
		"the logs %s and %s are no longer the same from entry %d on, after their last checkpoint; neither proves to be the right one; ask other members for a copy, and leave out the one that they contradict",
		a.name, b.name, at)
}

// parting is the first entry that two histories do not share; the size of the
// shorter one, b, if they share it all.
func parting(a, b history) (int64, error) {
	var failed error
	shared := sort.Search(int(b.head.Size), func(i int) bool {
		one, errOne := tlog.HeadAt(a.log, int64(i)+1)
		other, errOther := tlog.HeadAt(b.log, int64(i)+1)
		failed = errors.Join(failed, errOne, errOther)
		return one != other
	})
	return int64(shared), failed
}

// forked writes two proofs, which `coulisse log verify` verifies: of one log,
// replicas have signed two entries in the same place.
func forked(a, b history, at int64, dir string) error {
	var paths []any
	for i, h := range []history{a, b} {
		proof, err := archive.Prove(h.log, at, h.stated)
		if err != nil {
			return err
		}
		text, err := protocol.Indented(proof)
		if err != nil {
			return err
		}
		path := fmt.Sprintf("%s-fork-%d.json", dir, i+1)
		if err := durable.WriteFile(path, text); err != nil {
			return err
		}
		paths = append(paths, path)
	}
	return protocol.Refuse(ErrFork,
		"les journaux %s et %s diffèrent à l'entrée %d, et une réplique a signé chacun des deux\u00a0: rien n'est restauré; les preuves sont dans %s et %s, que `coulisse log verify` vérifie; montrez-les au conseil de la coopérative et à tous les membres",
		"the logs %s and %s differ at entry %d, and a replica has signed each of the two: nothing is restored; the proofs are in %s and %s, which `coulisse log verify` verifies; show them to the co-operative's board and to all members",
		append([]any{a.name, b.name, at}, paths...)...)
}
