package coordinator

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"coulisse/coordinator/backup"
	"coulisse/coordinator/consensus"
	"coulisse/coordinator/state"
	"coulisse/crypto/key"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/tlog"
)

// gather reads and verifies all that is left: what replicas there are, and the
// logs.
func (r Restoring) gather() (replicas []kept, histories []history, err error) {
	identities, err := openIdentities(r.Identities)
	if err != nil {
		return nil, nil, err
	}
	for _, path := range r.Backups {
		b, err := readBackup(path, identities, r.Version)
		if err != nil {
			return nil, nil, err
		}
		k, err := keptOf(b.Files)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		replicas = append(replicas, k)
		histories = append(histories, history{path, b.Log, b.Head, b.Statement.Checkpoint})
	}
	if r.Survivor != "" {
		k, h, err := survive(r.Survivor)
		if err != nil {
			return nil, nil, err
		}
		replicas, histories = append(replicas, k), append(histories, h)
	}
	if len(histories) == 0 {
		return nil, nil, protocol.Refuse(ErrBackup,
			"il faut de quoi restaurer\u00a0: --backup pour chaque réplique, ou --survivor", "it takes something to restore from: --backup for each replica, or --survivor")
	}
	federationID, err := r.oneFederation(histories)
	if err != nil {
		return nil, nil, err
	}
	if err := distinct(replicas); err != nil {
		return nil, nil, err
	}
	for _, path := range r.Logs {
		h, err := readCopy(path, federationID)
		if err != nil {
			return nil, nil, err
		}
		histories = append(histories, h)
	}
	return replicas, histories, nil
}

// oneFederation is the federation that all of it is of.
func (r Restoring) oneFederation(histories []history) (id protocol.Hash, err error) {
	id = r.Federation
	for _, h := range histories {
		view, err := federation.View(h.log)
		if err != nil {
			return id, err
		}
		if id.IsZero() {
			id = view.Federation
		}
		if view.Federation != id {
			return id, errElsewhere(h.name, view.Federation, id)
		}
	}
	return id, nil
}

func errElsewhere(name string, found, wanted protocol.Hash) error {
	return protocol.Refuse(ErrForeign,
		"%[1]s vient de la fédération %[2]s, et non de %[3]s; laissez-le de côté", "%[1]s comes from the federation %[2]s, not from %[3]s; leave it out",
		name, found.Short(), wanted.Short())
}

func distinct(replicas []kept) error {
	seen := map[protocol.ReplicaID]bool{}
	for _, k := range replicas {
		if seen[k.settings.ID] {
			return protocol.Refuse(ErrBackup,
				"la réplique %s est donnée deux fois; gardez la plus récente de ses sauvegardes", "the replica %s is given twice; keep the newest of its backups", k.settings.ID)
		}
		seen[k.settings.ID] = true
	}
	return nil
}

func openIdentities(paths []string) (list []*seal.Identity, err error) {
	for _, path := range paths {
		identity, err := seal.LoadIdentity(path)
		if err != nil {
			return nil, protocol.Refuse(ErrBackup,
				"l'identité %s ne s'ouvre pas (%v)", "the identity %s does not open (%v)", path, err)
		}
		list = append(list, identity)
	}
	return list, nil
}

// readBackup opens a backup with whichever identity it was sealed for, and
// verifies it offline.
func readBackup(path string, identities []*seal.Identity, version string) (b backup.Backup, err error) {
	var file *seal.OpenedFile
	err = seal.ErrWrongIdentity
	for i := 0; i < len(identities) && errors.Is(err, seal.ErrWrongIdentity); i++ {
		file, err = seal.OpenFile(path, identities[i])
	}
	if err == nil {
		defer file.Close()
		b, err = backup.Read(file, version)
	}
	if err == nil {
		_, err = keptOf(b.Files)
	}
	return b, unusable(path, err)
}

// unusable says why a backup or a copy of the log cannot be used.
func unusable(path string, err error) error {
	var system *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, seal.ErrWrongIdentity):
		return protocol.Refuse(ErrBackup,
			"aucune identité donnée n'ouvre %s; nommez avec --identity celle pour laquelle il a été scellé", "no identity that was given opens %s; name the one that it was sealed for with --identity", path)
	case errors.As(err, &system):
		return protocol.Refuse(ErrBackup, "le fichier %s ne s'ouvre pas (%v)", "the file %s does not open (%v)", path, system.Err)
	case errors.Is(err, seal.ErrDamaged), errors.Is(err, io.ErrUnexpectedEOF):
		return protocol.Refuse(ErrBackup,
			"le fichier %s est endommagé, coupé, ou n'est pas une sauvegarde; prenez-en une autre, et gardez celui-ci", "the file %s is damaged, cut short or not a backup; take another one, and keep this one", path)
	}
	detail := strings.TrimPrefix(strings.TrimPrefix(err.Error(), backup.ErrBackup.Error()+": "), archive.ErrArchive.Error()+": ")
	return protocol.Refuse(ErrBackup,
		"le fichier %s ne prouve pas ce qu'il affirme (%s); prenez-en un autre, et gardez celui-ci", "the file %s does not prove what it states (%s); take another one, and keep this one", path, detail)
}

// keptOf reads, in memory, who a folder's files are and that their keys open.
func keptOf(files map[string][]byte) (k kept, err error) {
	k.files = files
	if k.settings, err = protocol.DecodeFile[Settings](files[fileSettings]); err != nil {
		return k, damaged(fileSettings, err)
	}
	identity, err := seal.ParseIdentity(files[fileIdentity])
	if err != nil {
		return k, damaged(fileIdentity, err)
	}
	sealed, err := seal.NewReader(strings.NewReader(string(files[fileReplicaKey])), identity)
	if err != nil {
		return k, damaged(fileReplicaKey, err)
	}
	raw, err := io.ReadAll(io.LimitReader(sealed, maxKeyFile))
	if err != nil {
		return k, damaged(fileReplicaKey, err)
	}
	private, err := key.ParsePrivate[key.Replica](raw)
	if err != nil {
		return k, damaged(fileReplicaKey, err)
	}
	k.key = private.Public()
	return k, nil
}

// readCopy reads a member's copy of the log.
func readCopy(path string, federationID protocol.Hash) (history, error) {
	file, err := os.Open(path)
	if err != nil {
		return history{}, unusable(path, err)
	}
	defer file.Close() // only read
	s, log, err := archive.Read(file, federationID)
	if err != nil {
		return history{}, unusable(path, err)
	}
	return history{path, log, s.Head, s.Checkpoint}, nil
}

// survive reads a stopped replica's folder. What its last snapshot held was
// agreed on; the rest is taken too, for it may have been, and gives way to a
// log that a replica has signed.
func survive(dir string) (k kept, h history, err error) {
	files, err := folderFiles(dir)
	if err != nil {
		return k, h, err
	}
	if k, err = keptOf(files); err != nil {
		return k, h, err
	}
	r, err := Open(Config{Dir: dir})
	if err != nil {
		return k, h, err
	}
	held, err := state.New()
	if err != nil {
		return k, h, err
	}
	defer held.Close()
	agreed := int64(0)
	err = consensus.Salvage(filepath.Join(dir, dirRaft), held, func() error {
		return held.View(func(tx federation.Tx) error { agreed = federation.Size(tx); return nil })
	})
	if err != nil {
		return k, h, protocol.Refuse(ErrLost,
			"le journal de %s ne se lit pas (%v); arrêtez cette réplique si elle tourne, sinon restaurez sans elle", "the log of %s does not read (%v); stop this replica if it runs, else restore without it", dir, err)
	}
	h = history{name: dir, log: new(federation.Memory)}
	if err = held.View(func(tx federation.Tx) error { return replay(tx, h.log) }); err != nil {
		return k, h, err
	}
	if h.head, err = federation.Head(h.log); err != nil || h.head.Size == 0 {
		return k, h, errors.Join(err, unfoundedIf(h.head.Size == 0))
	}
	if agreed > 0 {
		h.stated, err = r.vouchAt(h.log, agreed)
	}
	return k, h, err
}

func unfoundedIf(empty bool) error {
	if !empty {
		return nil
	}
	return protocol.Refuse(ErrUnfounded, "le journal de cette réplique est vide", "this replica's log is empty")
}

// replay verifies every entry of a state's log again.
func replay(from federation.Tx, log *federation.Memory) error {
	for seq := int64(0); seq < federation.Size(from); seq++ {
		raw, ok := federation.EntryBytes(from, seq)
		if !ok {
			return fmt.Errorf("%w: entry %d", federation.ErrNotFound, seq)
		}
		entry, err := protocol.Decode[protocol.Entry](raw)
		if err == nil {
			err = log.Apply(entry)
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", seq, err)
		}
	}
	return nil
}

// vouchAt states a part of a log as this replica.
func (r *Replica) vouchAt(log federation.Tx, size int64) (c checkpoint.Checkpoint, err error) {
	view, err := federation.View(log)
	if err != nil {
		return c, err
	}
	head, err := tlog.HeadAt(log, size)
	if err != nil {
		return c, err
	}
	note, err := checkpoint.Sign(checkpoint.OriginOf(view), head, r.key)
	if err != nil {
		return c, err
	}
	return checkpoint.Open(note, view)
}
