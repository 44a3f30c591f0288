package coordinator

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/coordinator/state"
	"coulisse/protocol"
	"coulisse/protocol/checkup"
	"coulisse/protocol/governance"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// What a doctor asks of a replica's machine.
const (
	spareSpace  = 1 << 30 // beside four times the log
	manyFiles   = maxConnections + 1024
	backupAge   = 8 * 24 * time.Hour
	authorityIn = 365 * 24 * time.Hour
)

// Doctor looks at a replica's folder, its machine and the other replicas, and
// says what is wrong, the gravest first. It runs beside the replica; of one that
// is stopped it also reads the whole log. version is that of the program.
func Doctor(ctx context.Context, dir, version string, now time.Time) checkup.Report {
	r := checkup.Folder(dir, now, fileTLS, fileRoll, fileFounding)
	r.Join(checkup.Space(dir, spareSpace+4*weigh(filepath.Join(dir, dirRaft))))
	r.Join(checkup.Descriptors(manyFiles))
	replica, err := Open(Config{Dir: dir})
	switch {
	case errors.Is(err, ErrUnfounded):
		r.Join(because(checkup.Notice, err))
		return r.Sorted()
	case err != nil:
		r.Join(because(checkup.Broken, err))
		return r.Sorted()
	}
	r.Join(replica.certificates(now))
	last := readLastBackup(dir)
	r.Join(judgeBackup(last, now))
	r.Join(judgeBackedAuthority(dir, last))
	answers := replica.askPeers(ctx)
	r.Join(judgePeers(replica.settings.ID, version, answers))
	if !serves(replica.settings.ID, answers) {
		r.Join(readRaft(dir))
	}
	return r.Sorted()
}

// because is a finding out of an error, whose words say what to do.
func because(g checkup.Gravity, err error) (r checkup.Report) {
	r.Add(g, refusal.Words(err), checkup.Say("Puis relancez cette commande.", "Then run this command again."))
	return r
}

// weigh is how many bytes a folder's files have.
func weigh(dir string) (bytes uint64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // another check says so
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			bytes += uint64(info.Size())
		}
		return nil
	})
	return bytes
}

func (r *Replica) certificates(now time.Time) (report checkup.Report) {
	report.Join(checkup.Certificate(checkup.Say("Le certificat de la réplique", "The replica's certificate"), r.creds.certificate.Leaf, now, replicaMonth,
		checkup.Say("Une réplique qui tourne le renouvelle elle-même\u00a0: démarrez-la, et lisez son journal si rien ne change.",
			"A replica that runs renews it by itself: start it, and read its log if nothing changes.")))
	own, ok := r.trust.own()
	if !ok {
		return report // another check says so
	}
	rotate := checkup.Say("Dans le bureau\u00a0: «\u00a0coulisse coordinator authority rotate\u00a0».", "In the office: “coulisse coordinator authority rotate”.")
	ca, err := r.issuer.by(own.Authority)
	if err != nil {
		report.Add(checkup.Broken, refusal.Words(err), rotate)
		return report
	}
	parsed, err := x509.ParseCertificate(ca.Certificate())
	if err != nil {
		report.Join(because(checkup.Broken, damaged(fileAuthority, err)))
		return report
	}
	report.Join(checkup.Certificate(checkup.Say("Le certificat de l'autorité", "The authority's certificate"), parsed, now, authorityIn, rotate))
	return report
}

func readLastBackup(dir string) *LastBackup {
	text, err := os.ReadFile(filepath.Join(dir, fileBackup))
	if err != nil {
		return nil
	}
	last, err := protocol.DecodeFile[LastBackup](text)
	if err != nil {
		return nil
	}
	return &last
}

// judgeBackedAuthority finds a last backup that has nothing to certify with. The
// file's date is when the key was made: it is renamed, and not written again.
func judgeBackedAuthority(dir string, last *LastBackup) (r checkup.Report) {
	info, err := os.Stat(filepath.Join(dir, fileAuthority))
	if err == nil && last != nil && info.ModTime().After(last.At.Time()) {
		r.Add(checkup.Danger, checkup.Say("La dernière sauvegarde de cette réplique date d'avant sa nouvelle autorité de certification.", "The last backup of this replica is from before its new certificate authority."),
			checkup.Say("Sauvegardez-la maintenant\u00a0: «\u00a0coulisse coordinator backup\u00a0».", "Back it up now: “coulisse coordinator backup”."))
	}
	return r
}

// judgeBackup says whether a disaster today would cost anything.
func judgeBackup(last *LastBackup, now time.Time) (r checkup.Report) {
	do := checkup.Say("«\u00a0coulisse coordinator backup\u00a0», chaque nuit.", "“coulisse coordinator backup”, every night.")
	if last == nil {
		r.Add(checkup.Danger, checkup.Say("Cette réplique n'a jamais été sauvegardée\u00a0: si elle brûle, ses clés sont perdues.",
			"This replica was never backed up: if it burns, its keys are lost."), do)
		return r
	}
	if age := now.Sub(last.At.Time()); age > backupAge {
		r.Add(checkup.Danger, checkup.Say("La dernière sauvegarde de cette réplique date de %d jours.", "The last backup of this replica is %d days old.", days(age)), do)
	}
	return r
}

// peerAnswer is what a replica said, between two moments of this machine.
type peerAnswer struct {
	peer            consensus.Peer
	unreached       checkup.Report // why not even its port answered
	err             error
	reply           *wire.StatusReply
	asked, answered time.Time
}

var startReplica = checkup.Say("Démarrez-la avec «\u00a0coulisse coordinator serve\u00a0»\u00a0; si elle tourne, ouvrez ce port dans les pare-feu entre ici et là.",
	"Start it with “coulisse coordinator serve”; if it runs, open this port in the firewalls between here and there.")

// hearOwn asks this replica, if it runs, and takes the roll that it knows.
func (r *Replica) hearOwn(ctx context.Context) peerAnswer {
	own := r.askPeer(ctx, consensus.Peer{ID: r.settings.ID, Address: r.settings.Address()})
	if current, err := protocol.Decode[protocol.Roll](own.reply.GetRoll()); err == nil {
		r.trust.hear(current)
	}
	return own
}

// askPeers asks every replica, this one first, as this one. Who the others are,
// this one knows from the log if it runs, else from its folder.
func (r *Replica) askPeers(ctx context.Context) (answers []peerAnswer) {
	own := r.hearOwn(ctx)
	answers = append(answers, own)
	for _, peer := range r.peersBy(own.reply.GetRoll()) {
		if peer.ID != r.settings.ID {
			answers = append(answers, r.askPeer(ctx, peer))
		}
	}
	return answers
}

// peersBy is the replicas of a roll in force, once one has been made.
func (r *Replica) peersBy(raw []byte) []consensus.Peer {
	current, err := protocol.Decode[protocol.Roll](raw)
	if err != nil {
		return r.settings.Peers
	}
	return r.peersOf(current)
}

func (r *Replica) peersOf(current protocol.Roll) []consensus.Peer {
	if current.Number == 0 {
		return r.settings.Peers
	}
	var peers []consensus.Peer
	for _, replica := range current.Replicas {
		peers = append(peers, consensus.Peer{ID: replica.ID, Address: consensus.Address(replica.Address)})
	}
	return peers
}

func (r *Replica) askPeer(ctx context.Context, peer consensus.Peer) peerAnswer {
	a := peerAnswer{peer: peer, asked: time.Now()}
	if a.unreached = checkup.Reach(ctx, checkup.Say("la réplique %s", "replica %s", peer.ID), string(peer.Address), startReplica); a.unreached == nil {
		a.err = r.callAs(peer.Address, func(stub wire.CoordinatorClient) (err error) {
			ctx, cancel := context.WithTimeout(ctx, answer)
			defer cancel()
			a.asked = time.Now()
			a.reply, err = stub.Status(ctx, &wire.StatusRequest{})
			return err
		})
	}
	a.answered = time.Now()
	return a
}

func serves(self protocol.ReplicaID, answers []peerAnswer) bool {
	for _, a := range answers {
		if a.peer.ID == self && a.reply != nil && protocol.ReplicaID(a.reply.GetReplica()) == self {
			return true
		}
	}
	return false
}

// judgePeers compares what the replicas said, with this program and each other.
func judgePeers(self protocol.ReplicaID, version string, answers []peerAnswer) (r checkup.Report) {
	newest := int64(0)
	for _, a := range answers {
		newest = max(newest, a.reply.GetLogSize())
	}
	for i, a := range answers {
		switch {
		case a.unreached != nil:
			r.Join(a.unreached)
			continue
		case a.err != nil:
			r.Add(checkup.Broken, checkup.Say("La réplique %s ne répond pas comme une réplique à %s (%v).", "Replica %s does not answer as a replica at %s (%v).", a.peer.ID, a.peer.Address, a.err),
				checkup.Say("Vérifiez que c'est bien elle à cette adresse, et que leurs certificats viennent de la même autorité.", "Check that it is the one at this address, and that their certificates come from the same authority."))
			continue
		case protocol.ReplicaID(a.reply.GetReplica()) != a.peer.ID:
			r.Add(checkup.Broken, checkup.Say("À %[2]s répond une autre réplique que %[1]s.", "At %[2]s answers another replica than %[1]s.", a.peer.ID, a.peer.Address),
				checkup.Say("Corrigez le nom d'hôte ou le port\u00a0: chaque réplique a son adresse.", "Correct the host name or the port: each replica has its own address."))
			continue
		}
		r.Join(checkup.Clock(string(a.peer.ID), protocol.Millis(a.reply.GetNowMs()).Time(), a.asked, a.answered))
		r.Join(judgePeer(a, self, version, newest))
		for _, b := range answers[:i] {
			if b.reply != nil && a.reply.GetLogSize() == b.reply.GetLogSize() && a.reply.GetLogRoot() != b.reply.GetLogRoot() {
				r.Add(checkup.Broken, checkup.Say("Les répliques %s et %s ne tiennent pas le même journal.", "The replicas %s and %s do not hold the same log.", b.peer.ID, a.peer.ID),
					checkup.Say("Arrêtez celle qui ne mène pas, gardez son dossier comme preuve et prévenez les membres.", "Stop the one that does not lead, keep its folder as evidence and tell the members."))
			}
		}
	}
	return r
}

func judgePeer(a peerAnswer, self protocol.ReplicaID, version string, newest int64) (r checkup.Report) {
	if theirs := a.reply.GetVersion(); theirs != version {
		r.Add(checkup.Notice, checkup.Say("La réplique %s est en version %s, cette commande en version %s.", "Replica %s runs version %s, this command is of version %s.", a.peer.ID, theirs, version),
			checkup.Say("Terminez la mise à jour, une réplique à la fois.", "Finish the upgrade, one replica at a time."))
	}
	if theirs := a.reply.GetRules(); a.peer.ID != self && theirs != 0 && theirs != governance.Rules {
		r.Add(checkup.Notice, checkup.Say("La réplique %s connaît les règles %d du journal, cette version les règles %d.", "Replica %s knows rules %d of the log, this version rules %d.", a.peer.ID, theirs, governance.Rules),
			checkup.Say("Les règles ne changent qu'une fois toutes les répliques mises à jour.", "The rules change only when all replicas are upgraded."))
	}
	if a.peer.ID == self && a.reply.GetLeader() == "" {
		r.Add(checkup.Broken, checkup.Say("Cette réplique ne connaît aucune réplique qui mène.", "This replica knows no replica that leads."),
			checkup.Say("Démarrez les autres, et vérifiez qu'elles se joignent l'une l'autre à leurs adresses.", "Start the others, and check that they reach each other at their addresses."))
	}
	if late := newest - a.reply.GetLogSize(); late > behind {
		r.Add(checkup.Danger, checkup.Say("La réplique %s a %d entrées de retard.", "Replica %s is %d entries behind.", a.peer.ID, late),
			checkup.Say("Si l'écart ne diminue pas, son disque ou son réseau est trop lent.", "If the gap does not close, its disk or its network is too slow."))
	}
	return r
}

// readRaft verifies all that a stopped replica has on its disk.
func readRaft(dir string) (r checkup.Report) {
	raft := filepath.Join(dir, dirRaft)
	_, errLog := os.Stat(filepath.Join(raft, fileRaftLog))
	if errors.Is(errLog, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, fileJoined)); err == nil {
			return because(checkup.Broken, errLogGone)
		}
		return nil // it has never started
	}
	held, err := state.New()
	if err != nil {
		return because(checkup.Broken, err)
	}
	defer held.Close()
	err = consensus.Salvage(raft, held, func() error { return nil })
	switch {
	case errors.Is(err, consensus.ErrInUse):
		return nil // it runs, and does not answer: that was found
	case err != nil:
		r.Add(checkup.Broken, checkup.Say("Le journal de la réplique est endommagé (%v).", "The replica's log is damaged (%v).", err),
			checkup.Say("Laissez-la arrêtée, gardez son dossier, vérifiez son disque, et remplacez-la\u00a0; les autres continuent sans elle.",
				"Leave it stopped, keep its folder, check its disk, and replace it; the others go on without it."))
	}
	return r
}
