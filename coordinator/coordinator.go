// Package coordinator is the co-operative's side of the federation: three or
// five replicas that agree on one order of signed documents, relay sealed
// parcels, match the uploads of a round, and otherwise do nothing.
//
// It holds no identifier, no token and no round key, and no member has to
// believe it: what it may do is written in package federation, which every
// node runs again over the same log. This package wires a replica together;
// each part is a package below. It implements the coordinator of protocol.md
// section 1.
package coordinator

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/coordinator/consensus"
	"coulisse/crypto/durable"
	"coulisse/crypto/key"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// Config is how a replica is started.
type Config struct {
	Dir string
	// Founding begins the federation. It is needed once; the folder keeps it.
	Founding *protocol.Founding
	// Listen is where to listen, as host:port, when that is not the address at
	// which the others and the nodes dial this replica: in a container, or
	// behind a router that passes connections on.
	Listen string
	// Health is where to answer GET /healthz and GET /metrics, as host:port;
	// nowhere if empty.
	Health string
	// Quota is how many bytes the uploads of one round may take on disk;
	// matcher.DefaultQuota if 0.
	Quota int64
	// Memory is how many bytes receiving and matching uploads may hold at once,
	// over all rounds; matcher.DefaultMemory if 0.
	Memory  int64
	Version string
	Logger  *slog.Logger     // slog.Default() if nil
	Now     func() time.Time // time.Now if nil
	Timing  consensus.Timing
}

// Replica is one coordinator replica.
type Replica struct {
	cfg      Config
	settings Settings
	creds    credential
	issuer   *issuer
	key      key.Private[key.Replica]
	founding protocol.Founding
	trust    *trust // once the founding is there
	// certificate is what it shows to others, renewed while it runs.
	certificate certificate
}

// Errors of folders. They come as a [protocol.Refusal], with their words.
var (
	// ErrFolder: the folder is not what it should be, or is damaged.
	ErrFolder = errors.New("the folder cannot be used")
	// ErrForeign: the founding is for another coordinator or federation.
	ErrForeign = errors.New("the founding is not for this folder")
	// ErrUnfounded: the replica was never given a founding.
	ErrUnfounded = errors.New("the replica has no founding")
	// ErrLost: the folder has lost the log. An empty replica would forget what
	// it had promised the others; it must not start.
	ErrLost = errors.New("the replica's log is gone")
)

// Open reads a replica's folder and checks that it fits the founding. It
// listens on nothing yet.
func Open(cfg Config) (*Replica, error) {
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Replica{cfg: cfg}
	if err := r.openSettings(); err != nil {
		return nil, err
	}
	if err := r.openKeys(); err != nil {
		return nil, err
	}
	return r, r.openFounding()
}

func (r *Replica) openSettings() error {
	text, err := os.ReadFile(filepath.Join(r.cfg.Dir, fileSettings))
	if err != nil {
		return protocol.Refuse(ErrFolder,
			"le dossier %s n'est pas celui d'une réplique; `coulisse coordinator init` en fait un par réplique",
			"the folder %s is not a replica's; `coulisse coordinator init` makes one for each replica", r.cfg.Dir)
	}
	if r.settings, err = protocol.DecodeFile[Settings](text); err != nil {
		return damaged(fileSettings, err)
	}
	return nil
}

// damaged says which file of a folder does not read. The cause names no secret.
func damaged(file string, err error) error {
	return protocol.Refuse(ErrFolder,
		"le fichier %s du dossier ne se lit pas (%v); remettez le dossier entier d'une copie de sauvegarde",
		"the file %s of the folder does not read (%v); restore the whole folder from a backup", file, err)
}

func (r *Replica) openKeys() (err error) {
	if r.creds, err = openCredential(r.cfg.Dir); err != nil {
		return err
	}
	r.certificate.set(r.creds.certificate)
	raw, err := seal.ReadFile(filepath.Join(r.cfg.Dir, fileReplicaKey), r.creds.identity, maxKeyFile)
	if err == nil {
		r.key, err = key.ParsePrivate[key.Replica](raw)
	}
	if err != nil {
		return damaged(fileReplicaKey, err)
	}
	r.issuer, err = openIssuer(r.cfg.Dir, r.settings.Namespace, r.creds.identity)
	return err
}

// issuing is this replica's authority, as the roll lists it.
func (r *Replica) issuing() (*authority.Authority, error) {
	own, ok := r.trust.own()
	if !ok {
		return nil, errNotIssuing
	}
	return r.issuer.by(own.Authority)
}

// openFounding takes the founding that it kept, or the one it was given.
func (r *Replica) openFounding() error {
	path := filepath.Join(r.cfg.Dir, fileFounding)
	kept, err := os.ReadFile(path)
	switch {
	case err == nil:
		if r.founding, err = protocol.DecodeFile[protocol.Founding](kept); err != nil {
			return damaged(fileFounding, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case r.cfg.Founding == nil:
		return protocol.Refuse(ErrUnfounded,
			"cette réplique n'a pas encore d'acte de fondation; démarrez-la une fois avec --founding et le fichier que `coulisse charter found` a écrit",
			"this replica has no founding yet; start it once with --founding and the file that `coulisse charter found` wrote")
	default:
		r.founding = *r.cfg.Founding
	}
	view, err := governance.Begin(r.founding)
	if err != nil {
		return err
	}
	pub, ok := view.Replica(r.settings.ID)
	if !r.settings.Joins && (!ok || pub != r.key.Public()) {
		return errOtherCoordinator
	}
	if view.Charter.Namespace != r.settings.Namespace {
		return errOtherCoordinator
	}
	own, err := protocol.KeyHash(r.creds.certificate.Leaf.PublicKey)
	if err != nil {
		return err
	}
	if r.trust, err = openTrust(r.cfg.Dir, r.settings.ID, own, r.founding.Genesis); err != nil {
		return err
	}
	if kept == nil {
		text, err := protocol.Indented(r.founding)
		if err != nil {
			return err
		}
		return durable.WriteFile(path, text)
	}
	if r.cfg.Founding == nil {
		return nil
	}
	if id, err := r.cfg.Founding.Genesis.ID(); err != nil || id != view.Federation {
		return protocol.Refuse(ErrForeign,
			"ce dossier appartient à la fédération %s; démarrez-le sans --founding",
			"this folder belongs to the federation %s; start it without --founding", view.Federation.Short())
	}
	return nil
}

var errOtherCoordinator = protocol.Refuse(ErrForeign,
	"l'acte de fondation nomme un autre coordonnateur que celui de ce dossier",
	"the founding names another coordinator than this folder's")
