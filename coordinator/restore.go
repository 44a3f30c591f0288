package coordinator

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/coordinator/consensus"
	"coulisse/coordinator/state"
	"coulisse/crypto/durable"
	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// ErrFork: two logs of one federation contradict each other.
var ErrFork = errors.New("the logs contradict each other")

// Restoring is how a coordinator is made again out of what is left of it.
type Restoring struct {
	Dir string // to be made, as [Create] makes one
	// Backups are of one replica each. Identities are files that open them.
	Backups    []string
	Identities []string
	// Logs are copies that members hold.
	Logs []string
	// Survivor is the folder of a stopped replica, if one is left and the
	// majority is not.
	Survivor string
	// Federation, if it is not zero, is the only one that will do.
	Federation protocol.Hash
	// Alone makes a coordinator of one replica.
	Alone   bool
	Version string
	Now     time.Time
}

// Restored is what was made.
type Restored struct {
	Federation protocol.Hash    `json:"federation"`
	Replicas   []consensus.Peer `json:"replicas"`
	// Missing are replicas of the federation that no folder was made for.
	Missing []protocol.ReplicaID `json:"missing"`
	Head    protocol.Head        `json:"head"`
	At      protocol.Millis      `json:"at_ms"` // of the last entry
	From    string               `json:"from"`  // where the longest log was
	LeftOut []LeftOut            `json:"left_out"`
}

// kept is what is left of a replica: its folder's files.
type kept struct {
	settings Settings
	key      key.Public[key.Replica]
	files    map[string][]byte
}

// Restore verifies all that it is given, takes the longest of the logs, and
// makes a folder for each replica whose keys it has, and one for the office. All
// of them begin from the same entry. Nothing is there if it fails, but for the
// proofs of a fork.
func Restore(r Restoring) (Restored, error) {
	if _, err := os.Lstat(r.Dir); err == nil {
		return Restored{}, protocol.Refuse(ErrFolder,
			"le dossier %s existe déjà; une restauration en fait un nouveau, pour ne rien écraser",
			"the folder %s is there already; a restoration makes a new one, so as to overwrite nothing", r.Dir)
	}
	replicas, histories, err := r.gather()
	if err != nil {
		return Restored{}, err
	}
	best, done := histories[0], Restored{LeftOut: []LeftOut{}, Missing: []protocol.ReplicaID{}}
	for _, h := range histories[1:] {
		var left *LeftOut
		if best, left, err = continued(best, h, r.Dir); err != nil {
			return done, err
		}
		if left != nil {
			done.LeftOut = append(done.LeftOut, *left)
		}
	}
	view, err := federation.View(best.log)
	if err != nil {
		return done, err
	}
	done.Federation, done.Head, done.At, done.From = view.Federation, best.head, federation.Time(best.log), best.name
	roll, err := rollOf(best.log, replicas)
	if err != nil {
		return done, err
	}
	peers, err := r.elect(replicas, roll, &done)
	if err != nil {
		return done, err
	}
	seeding, err := seedOf(best, peers, done)
	if err != nil {
		return done, err
	}
	return done, r.make(replicas, roll, seeding, best)
}

// elect lists who takes part in consensus, and checks that those who are
// restored can decide.
func (r Restoring) elect(replicas []kept, roll []consensus.Peer, done *Restored) ([]consensus.Peer, error) {
	for _, peer := range roll {
		i := slices.IndexFunc(replicas, func(k kept) bool { return k.settings.ID == peer.ID })
		if i < 0 {
			done.Missing = append(done.Missing, peer.ID)
			continue
		}
		done.Replicas = append(done.Replicas, peer)
	}
	switch {
	case r.Alone && len(done.Replicas) != 1:
		return nil, protocol.Refuse(ErrFolder,
			"--alone restaure une seule réplique; donnez une seule sauvegarde, ou seulement --survivor",
			"--alone restores a single replica; give one backup, or --survivor only")
	case r.Alone:
		return done.Replicas, nil
	case 2*len(done.Replicas) <= len(roll):
		return nil, protocol.Refuse(ErrFolder,
			"il y a les clés de %d répliques sur %d\u00a0: elles ne pourraient rien décider; ajoutez les sauvegardes des autres, ou, si elles n'existent plus, restaurez une réplique seule avec --alone",
			"the keys of %d of the %d replicas are at hand: they could decide nothing; add the backups of the others or, if there are none, restore one replica with --alone",
			len(done.Replicas), len(roll))
	}
	return roll, nil
}

// rollOf lists the replicas of a log with where to dial them. Each that is to
// be restored must be one of them, with the key that the log knows.
func rollOf(log federation.Tx, replicas []kept) ([]consensus.Peer, error) {
	view, err := federation.View(log)
	if err != nil {
		return nil, err
	}
	for _, k := range replicas {
		if pub, ok := view.Replica(k.settings.ID); !ok || pub != k.key {
			return nil, protocol.Refuse(ErrForeign,
				"la clé de la réplique %s n'est pas celle que le journal lui connaît\u00a0: sa sauvegarde date d'avant son remplacement; prenez-en une plus récente, ou laissez-la de côté",
				"the key of replica %s is not the one that the log knows: its backup is from before it was replaced; take a newer one, or leave it out", k.settings.ID)
		}
	}
	// The genesis names no addresses; the folders do.
	addresses := map[protocol.ReplicaID]consensus.Address{}
	for _, k := range replicas {
		for _, peer := range k.settings.Peers {
			addresses[peer.ID] = peer.Address
		}
	}
	var roll []consensus.Peer
	for _, r := range view.Roll.Replicas {
		roll = append(roll, consensus.Peer{ID: r.ID, Address: cmp.Or(consensus.Address(r.Address), addresses[r.ID])})
	}
	return roll, nil
}

// seedOf is what the replicas begin from. Its lineage says from which log and
// with which peers, so that folders made apart go together only if they may.
func seedOf(best history, peers []consensus.Peer, done Restored) (consensus.Seeding, error) {
	rebuilt, err := state.Rebuild(best.log)
	if err != nil {
		return consensus.Seeding{}, err
	}
	defer rebuilt.Close()
	image, err := rebuilt.Snapshot()
	if err != nil {
		return consensus.Seeding{}, err
	}
	text, err := protocol.Canonical(struct {
		Federation protocol.Hash    `json:"federation"`
		Head       protocol.Head    `json:"head"`
		Peers      []consensus.Peer `json:"peers"`
	}{done.Federation, done.Head, peers})
	if err != nil {
		return consensus.Seeding{}, err
	}
	return consensus.Seeding{
		Peers: peers, At: done.At, State: image,
		Lineage: consensus.Lineage(sha256.Sum256(append([]byte("coulisse/1/seed\x00"), text...))),
	}, nil
}

// make writes all folders aside and gives them their name at once.
func (r Restoring) make(replicas []kept, roll []consensus.Peer, seeding consensus.Seeding, best history) error {
	parent := filepath.Dir(filepath.Clean(r.Dir))
	aside, err := os.MkdirTemp(parent, ".restore-*") // mode 0700
	if err != nil {
		return protocol.Refuse(ErrFolder,
			"le dossier %s ne peut pas être fait (%v)", "the folder %s cannot be made (%v)", r.Dir, err)
	}
	defer os.RemoveAll(aside) // gone already once it was renamed
	var ca *authority.Authority
	for _, k := range replicas {
		restored, err := k.restore(filepath.Join(aside, string(k.settings.ID)), seeding, best)
		if err != nil {
			return err
		}
		ca = cmp.Or(ca, restored.vouching())
	}
	if ca == nil {
		return protocol.Refuse(ErrBackup,
			"toutes ces sauvegardes datent d'avant le dernier changement des autorités\u00a0: plus personne ne pourrait être certifié; prenez-en une plus récente, d'une réplique au moins",
			"all these backups are from before the authorities were last changed: nobody could be certified any more; take a newer one, of one replica at least")
	}
	if err := restoreOffice(aside, ca, roll, best.log, r.Now); err != nil {
		return err
	}
	if err := os.Rename(aside, r.Dir); err != nil {
		return err
	}
	return durable.SyncFolder(parent)
}

// restore makes one folder and reads it back.
func (k kept) restore(dir string, seeding consensus.Seeding, best history) (*Replica, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	view, err := federation.View(best.log)
	if err != nil {
		return nil, err
	}
	for name, content := range k.files {
		if err := durable.WriteFile(filepath.Join(dir, name), content); err != nil {
			return nil, err
		}
	}
	if err := durable.WriteFile(filepath.Join(dir, fileJoined), []byte(joinedText)); err != nil {
		return nil, err
	}
	if err := writeKnown(dir, known{Roll: view.Roll, Departed: []protocol.Replica{}}); err != nil {
		return nil, err
	}
	if err := consensus.Seed(filepath.Join(dir, dirRaft), seeding); err != nil {
		return nil, err
	}
	r, err := Open(Config{Dir: dir})
	if err != nil {
		return nil, err
	}
	again, err := state.New()
	if err != nil {
		return nil, err
	}
	defer again.Close()
	if err := consensus.Salvage(filepath.Join(dir, dirRaft), again, func() error { return nil }); err != nil {
		return nil, err
	}
	hash, err := again.Hash()
	if err == nil && hash != state.HashOf(best.log) {
		err = errors.New("the folder that was just made does not hold the log: check this machine's disk")
	}
	return r, err
}

// vouching is an authority of this replica that the roll lists, the former one
// if need be; nil if its backup is older than both.
func (r *Replica) vouching() *authority.Authority {
	own, _ := r.trust.own()
	for _, listed := range []protocol.Hash{own.Authority, own.Former} {
		if ca, err := r.issuer.by(listed); err == nil {
			return ca
		}
	}
	return nil
}

// restoreOffice makes the operator's folder, with a new certificate.
func restoreOffice(dir string, ca *authority.Authority, peers []consensus.Peer, log federation.Tx, now time.Time) error {
	view, err := federation.View(log)
	if err != nil {
		return err
	}
	if err := createOperator(filepath.Join(dir, DirOperator), ca, now); err != nil {
		return err
	}
	card := Card{Namespace: view.Charter.Namespace, Roll: view.Roll.Number, Replicas: view.Roll.Replicas}
	for _, p := range peers {
		card.Addresses = append(card.Addresses, p.Address)
	}
	text, err := protocol.Indented(card)
	if err != nil {
		return err
	}
	for _, to := range []string{filepath.Join(dir, DirOperator, FileCard), filepath.Join(dir, FileCard)} {
		if err := durable.WriteFile(to, text); err != nil {
			return err
		}
	}
	return nil
}
