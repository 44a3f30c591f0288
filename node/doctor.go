package node

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"coulisse/node/coordclient"
	"coulisse/node/warehouse"
	"coulisse/node/witness"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/checkup"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/pinned"
)

// What a doctor asks of a node's machine.
const (
	spareSpace = 1 << 30 // beside twice the warehouse
	manyFiles  = 256
	// expiresSoon is later than a node that runs would have renewed: a
	// certificate is good for a day, and is renewed when a third is left.
	expiresSoon = 4 * time.Hour
	// waitsLong is how long stewards may take to answer a batch.
	waitsLong = 24 * time.Hour
)

// Doctor looks at a node's folder, its machine and its way to the coordinator,
// and says what is wrong. It runs beside the node; of one that is stopped it
// also opens the warehouse and verifies the whole copy of the log, as starting
// it would.
func Doctor(ctx context.Context, dir string, running bool, now time.Time) checkup.Report {
	// DuckDB makes its journal as the umask has it; the folder's mode protects it.
	r := checkup.Folder(dir, now, fileCard, fileFederation, FileCollect, fileWarehouse+".wal")
	r.Join(checkup.Space(dir, spareSpace+2*sizeOf(filepath.Join(dir, fileWarehouse))))
	r.Join(checkup.Descriptors(manyFiles))
	r.Join(evidence(filepath.Join(dir, dirLog)))
	r.Join(pendingBatches(filepath.Join(dir, dirTokens), now))
	f, err := Open(dir)
	if err != nil {
		r.Join(because(checkup.Broken, err))
		return r.Sorted()
	}
	if _, _, err := f.Collects(); err != nil {
		r.Join(because(checkup.Broken, err))
	}
	m, err := f.Membership()
	if err != nil {
		r.Join(because(checkup.Broken, err))
		return r.Sorted()
	}
	own := int64(0)
	if !running {
		var found checkup.Report
		own, found = f.openData(ctx, m)
		r.Join(found)
	}
	r.Join(f.connect(ctx, m, own, now))
	return r.Sorted()
}

// because is a finding out of an error, whose words say what to do.
func because(g checkup.Gravity, err error) (r checkup.Report) {
	r.Add(g, Words(err), checkup.Say("Puis relancez cette commande.", "Then run this command again."))
	return r
}

func sizeOf(path string) uint64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return uint64(info.Size())
}

// evidence finds what the coordinator handed out and should not have.
func evidence(dir string) (r checkup.Report) {
	files, err := filepath.Glob(filepath.Join(dir, "evidence-*"))
	if err != nil || len(files) == 0 {
		return nil
	}
	r.Add(checkup.Broken, checkup.Say("Ce nœud garde la preuve d'une faute du coordonnateur\u00a0: %s.", "This node keeps evidence of a fault of the coordinator: %s.", files[0]),
		checkup.Say("Ne supprimez rien. Comparez «\u00a0coulisse log head\u00a0» avec un autre membre, et montrez le fichier au conseil de la coopérative.",
			"Delete nothing. Compare “coulisse log head” with another member, and show the file to the co-operative's board."))
	return r
}

// pendingBatches finds people for whom the stewards have not answered.
func pendingBatches(dir string, now time.Time) (r checkup.Report) {
	files, err := filepath.Glob(filepath.Join(dir, "epoch-*", "pending-*.age"))
	if err != nil {
		return nil
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil || now.Sub(info.ModTime()) < waitsLong {
			continue
		}
		r.Add(checkup.Danger, checkup.Say("Un lot de jetons attend les gardiens de clé depuis %d heures.", "A batch of tokens has waited for the key stewards for %d hours.", int(now.Sub(info.ModTime()).Hours())),
			checkup.Say("Vérifiez que ce nœud tourne, puis appelez les gardiens\u00a0: assez d'entre eux doivent tourner en même temps.",
				"Check that this node runs, then call the stewards: enough of them must run at the same time."))
	}
	return r
}

// openData opens what only one process may, and returns how far the log is.
func (f *Folder) openData(ctx context.Context, m Membership) (size int64, r checkup.Report) {
	if _, err := os.Stat(f.path(fileWarehouse)); errors.Is(err, fs.ErrNotExist) {
		r.Add(checkup.Notice, checkup.Say("Ce nœud n'a encore jamais tourné.", "This node has never run yet."), startIt)
		return 0, r
	}
	w, err := warehouse.Open(ctx, warehouse.Config{Path: f.path(fileWarehouse)})
	if errors.Is(err, warehouse.ErrInUse) {
		return 0, because(checkup.Danger, err)
	}
	if err != nil {
		r.Add(checkup.Broken, checkup.Say("L'entrepôt ne s'ouvre pas (%v).", "The warehouse does not open (%v).", err),
			checkup.Say("Gardez le fichier, remettez celui de votre sauvegarde, ou importez de nouveau vos fichiers.", "Keep the file, put back that of your backup, or import your files again."))
	} else if err := w.Close(); err != nil {
		r.Join(because(checkup.Danger, err))
	}
	r.Add(checkup.Broken, checkup.Say("Le nœud ne tourne pas.", "The node does not run."), startIt)
	log, err := witness.Open(f.path(dirLog), m.Federation)
	if err != nil {
		r.Join(because(checkup.Broken, err))
		return 0, r
	}
	defer log.Close() // only read
	if err := log.Err(); err != nil {
		r.Join(because(checkup.Broken, err))
	}
	r.Join(f.compareCheckpoint(log))
	return log.Size(), r
}

var startIt = checkup.Say("Démarrez-le\u00a0: «\u00a0coulisse node serve\u00a0».", "Start it: “coulisse node serve”.")

// compareCheckpoint holds what this node cosigned last against its log.
func (f *Folder) compareCheckpoint(log *witness.Witness) (r checkup.Report) {
	note, err := os.ReadFile(filepath.Join(f.path(dirLog), fileCheckpoint))
	if err != nil {
		return nil // none yet
	}
	var view governance.View
	err = log.View(func(tx federation.Tx) error { view, err = federation.View(tx); return err })
	if err != nil {
		return nil // the log is empty
	}
	c, err := checkpoint.Open(note, view)
	switch {
	case err != nil:
		r.Add(checkup.Notice, checkup.Say("Le dernier point de contrôle que ce nœud a gardé ne se lit pas.", "The last checkpoint that this node kept does not read."),
			checkup.Say("Rien à faire\u00a0: il en prend un autre.", "Nothing to do: it takes another one."))
	case c.Head.Size > log.Size():
		r.Add(checkup.Danger, checkup.Say("La copie du journal a %d entrées, et ce nœud en a cosigné %d.", "The copy of the log has %d entries, and this node has cosigned %d.", log.Size(), c.Head.Size),
			checkup.Say("Démarrez le nœud\u00a0: il relit ce qui manque.", "Start the node: it reads what is missing."))
	default:
		if _, ok := c.Cosigner(f.Card.ID); !ok {
			r.Add(checkup.Notice, checkup.Say("Ce nœud n'a pas cosigné le dernier point de contrôle.", "This node has not cosigned the last checkpoint."),
				checkup.Say("Il le fait en tournant, si l'organisation est un membre en règle.", "It does while it runs, if the organisation is a member in good standing."))
		}
	}
	return r
}

// connect tries the way to every replica.
func (f *Folder) connect(ctx context.Context, m Membership, own int64, now time.Time) (r checkup.Report) {
	certificate, err := f.openTLS()
	if err != nil {
		return because(checkup.Broken, err)
	}
	leaf := certificate.Leaf
	r.Join(checkup.Certificate(checkup.Say("Le certificat de ce nœud", "This node's certificate"), leaf, now, expiresSoon, certificateExpired.Do))
	client := coordclient.New(coordclient.Config{
		Addresses: m.Route.Addresses, Logger: slog.New(slog.DiscardHandler),
		TLS: func() *tls.Config {
			return pinned.Dial(m.Route.Lists, func() *tls.Certificate { return &certificate })
		},
	})
	defer client.Close()
	r.Join(look(ctx, client, m.Route.Addresses, own))
	return r
}

// look judges what the replicas say. One that is away is not this node's
// trouble while another leads.
func look(ctx context.Context, client *coordclient.Client, addresses []string, own int64) (r checkup.Report) {
	led := false
	var away checkup.Report
	for _, address := range addresses {
		if unreached := checkup.Reach(ctx, checkup.Say("le coordonnateur", "the coordinator"), address, unreachable.Do); unreached != nil {
			away.Join(unreached)
			continue
		}
		l, err := client.Look(ctx, address)
		if err != nil {
			away.Add(checkup.Broken, checkup.Say("Le coordonnateur à %s ne répond pas à ce nœud.", "The coordinator at %s does not answer this node.", address), Words(err))
			continue
		}
		r.Join(checkup.Clock(address, l.Clock, l.Asked, l.Answered))
		led = led || l.Leads
		if l.Leads && l.Size < own {
			behind := behindUs(own - l.Size)
			r.Add(checkup.Broken, behind.What, behind.Do)
		}
	}
	if led {
		return r
	}
	if away == nil {
		r.Add(checkup.Broken, checkup.Say("Les répliques répondent, et aucune ne mène.", "The replicas answer, and none leads."),
			checkup.Say("Attendez une minute. Si cela dure, prévenez le bureau de la coopérative.", "Wait a minute. If it lasts, tell the co-operative's office."))
	}
	r.Join(away)
	return r
}
