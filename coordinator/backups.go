package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"coulisse/coordinator/backup"
	"coulisse/coordinator/consensus"
	"coulisse/crypto/durable"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/pinned"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
)

// fileBackup notes, in a replica's folder, when it was last backed up.
const fileBackup = "backup.json"

// Backing is how a running replica is backed up.
type Backing struct {
	Dir        string // the replica's folder
	To         string // the file, which must not be there
	Recipients []seal.Recipient
	Version    string
	Now        time.Time
}

// ErrBackup: no backup was made, or one cannot be used.
var ErrBackup = errors.New("the backup cannot be used")

// LastBackup is what the folder notes of its last backup.
type LastBackup struct {
	At   protocol.Millis `json:"at_ms"`
	Size int64           `json:"log_size"`
}

// Backup asks the running replica for its log, verifies it from the genesis on,
// and seals it into a file with what the folder holds. The replica goes on.
//
// It calls with the folder's own certificate: whoever can read the folder holds
// all that a backup has, so no further right is needed.
func Backup(ctx context.Context, b Backing) (backup.Manifest, error) {
	if _, err := os.Lstat(b.To); err == nil {
		return backup.Manifest{}, errBackupThere(b.To)
	}
	r, err := Open(Config{Dir: b.Dir})
	if err != nil {
		return backup.Manifest{}, err
	}
	log, err := r.ownLog(ctx)
	if err != nil {
		return backup.Manifest{}, err
	}
	note, err := r.vouch(log)
	if err != nil {
		return backup.Manifest{}, err
	}
	files, err := folderFiles(b.Dir)
	if err != nil {
		return backup.Manifest{}, err
	}
	id, err := r.founding.Genesis.ID()
	if err != nil {
		return backup.Manifest{}, err
	}
	made, err := backup.Make(backup.Manifest{
		Replica: r.settings.ID, Federation: id, At: protocol.At(b.Now), Version: b.Version,
	}, files, log)
	if err != nil {
		return made.Manifest, err
	}
	if err := b.write(made, note); err != nil {
		return made.Manifest, err
	}
	noted, err := protocol.Indented(LastBackup{At: made.At, Size: made.Head.Size})
	if err != nil {
		return made.Manifest, err
	}
	return made.Manifest, durable.WriteFile(filepath.Join(b.Dir, fileBackup), noted)
}

func errBackupThere(path string) error {
	return protocol.Refuse(ErrBackup,
		"le fichier %s existe déjà; une sauvegarde n'en remplace pas une autre, donnez-lui un autre nom",
		"the file %s is there already; a backup does not replace another, give it another name", path)
}

func (b Backing) write(made backup.Backup, c checkpoint.Checkpoint) error {
	file, err := seal.Create(b.To, b.Recipients...)
	switch {
	case errors.Is(err, seal.ErrKey) || len(b.Recipients) == 0:
		return protocol.Refuse(ErrBackup,
			"un destinataire commence par age1pq1; `coulisse coordinator backup key FICHIER` en fait un",
			"a recipient begins with age1pq1; `coulisse coordinator backup key FILE` makes one")
	case err != nil:
		return protocol.Refuse(ErrBackup,
			"le fichier %s ne peut pas être écrit (%v)", "the file %s cannot be written (%v)", b.To, err)
	}
	defer file.Discard()
	if err := made.Write(file, c); err != nil {
		return err
	}
	err = file.CommitNew()
	if errors.Is(err, fs.ErrExist) {
		return errBackupThere(b.To)
	}
	return err
}

// vouch states the log's head as this replica, which has verified it.
func (r *Replica) vouch(log federation.Tx) (checkpoint.Checkpoint, error) {
	c, err := r.vouchAt(log, federation.Size(log))
	if errors.Is(err, checkpoint.ErrCheckpoint) {
		return c, protocol.Refuse(ErrBackup,
			"cette réplique ne fait plus partie du coordonnateur; sauvegardez celles qui en sont",
			"this replica is no longer part of the coordinator; back up those that are")
	}
	return c, err
}

// ownLog reads the whole log from the running replica, and verifies it.
func (r *Replica) ownLog(ctx context.Context) (*federation.Memory, error) {
	log := new(federation.Memory)
	err := r.callAs(r.settings.Address(), func(stub wire.CoordinatorClient) error {
		asking, cancel := context.WithTimeout(ctx, answer)
		defer cancel()
		status, err := stub.Status(asking, &wire.StatusRequest{})
		if err != nil {
			return err
		}
		if err := readLog(ctx, stub, log, status.GetLogSize()); err != nil {
			return err
		}
		head, err := federation.Head(log)
		if err == nil && head.Root.String() != status.GetLogRoot() {
			err = errMisread
		}
		return err
	})
	if errors.Is(err, refusal.ErrUnavailable) {
		return nil, protocol.Refuse(ErrBackup,
			"la réplique ne répond pas à son adresse %s; démarrez-la avec `coulisse coordinator serve`; si les autres sont perdues pour de bon, voyez `coulisse coordinator restore --survivor`",
			"the replica does not answer at its address %s; start it with `coulisse coordinator serve`; if the others are lost for good, see `coulisse coordinator restore --survivor`",
			r.settings.Address())
	}
	if err != nil {
		return nil, err
	}
	view, err := federation.View(log)
	if err != nil {
		return nil, err
	}
	if id, err := r.founding.Genesis.ID(); err != nil || id != view.Federation {
		return nil, errOtherCoordinator
	}
	return log, nil
}

var errMisread = protocol.Refuse(ErrBackup,
	"le journal que la réplique remet n'est pas celui qu'elle annonce; vérifiez sa machine et gardez son dossier",
	"the log that the replica hands out is not the one that it states; check its machine and keep its folder")

// stalled is how long a log may not come forward while it is read.
const stalled = 30 * time.Second

func readLog(ctx context.Context, stub wire.CoordinatorClient, log *federation.Memory, size int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(stalled, cancel)
	defer late.Stop()
	stream, err := stub.Follow(ctx, &wire.FollowRequest{}, grpc.MaxCallRecvMsgSize(backup.MaxFile+1<<20))
	if err != nil {
		return err
	}
	for federation.Size(log) < size {
		reply, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errMisread
		}
		if err != nil {
			return err
		}
		late.Reset(stalled)
		entry, err := protocol.Decode[protocol.Entry](reply.GetEntry())
		if err == nil {
			err = log.Apply(entry)
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", federation.Size(log), err)
		}
	}
	return nil
}

// callAs makes a call to a replica with this one's certificate.
func (r *Replica) callAs(address consensus.Address, do func(wire.CoordinatorClient) error) error {
	return call(address, pinned.Dial(r.trust.isReplica, r.certificate.now), do)
}

// folderFiles reads what belongs into a backup of a folder: its files, and the
// identity even if it is a link to another disk; neither the log nor what
// crashes left behind.
func folderFiles(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		path, name := filepath.Join(dir, entry.Name()), entry.Name()
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() || durable.IsTemporary(name) || name == fileBackup || name == fileJoined {
			continue
		}
		if info.Size() > backup.MaxFile {
			return nil, protocol.Refuse(ErrBackup,
				"le fichier %s n'a pas sa place dans le dossier d'une réplique; déplacez-le", "the file %s has no place in a replica's folder; move it away", path)
		}
		if files[name], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// VerifyBackup opens and verifies a backup offline.
func VerifyBackup(path string, identities []string, version string) (backup.Backup, error) {
	opened, err := openIdentities(identities)
	if err != nil {
		return backup.Backup{}, err
	}
	return readBackup(path, opened, version)
}
