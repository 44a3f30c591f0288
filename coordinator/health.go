package coordinator

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/refusal"
)

// When the office is told.
const (
	behind       = 1000 // entries of the log
	replicaMonth = 30 * 24 * time.Hour
	officeMonth  = 45 * 24 * time.Hour
)

// Diagnose says what is wrong with a coordinator and what to do about it, the
// gravest first. Nothing is wrong if it says nothing.
func (o *Office) Diagnose(all []ReplicaStatus, now time.Time) []protocol.Text {
	if denied := denying(all); len(denied) > 0 {
		return denied // it sees nothing else
	}
	problems := diverging(all)
	problems = append(problems, leading(all)...)
	problems = append(problems, lagging(all)...)
	problems = append(problems, misdating(all)...)
	problems = append(problems, expiring(all, now)...)
	problems = append(problems, certifying(all, now)...)
	if left := o.creds.certificate.Leaf.NotAfter.Sub(now); left < officeMonth {
		problems = append(problems, say(
			"Le certificat du bureau expire dans %d jours et ne s'est pas renouvelé. Sur la machine d'une réplique : `coulisse coordinator renew-operator DOSSIER_DE_LA_REPLIQUE DOSSIER_DU_BUREAU`.",
			"The office's certificate expires in %d days and was not renewed. On a replica's machine: `coulisse coordinator renew-operator REPLICA_DIR OPERATOR_DIR`.",
			days(left)))
	}
	return problems
}

func say(fr, en string, args ...any) protocol.Text {
	return protocol.Text{FR: fmt.Sprintf(fr, args...), EN: fmt.Sprintf(en, args...)}
}

func days(d time.Duration) int { return max(0, int(d/(24*time.Hour))) }

// diverging compares what must be equal. A difference is never normal.
func diverging(all []ReplicaStatus) (problems []protocol.Text) {
	for i, a := range all {
		for _, b := range all[:i] {
			if a.Error != "" || b.Error != "" {
				continue
			}
			logs := a.LogSize == b.LogSize && a.LogRoot != b.LogRoot
			states := a.Applied == b.Applied && a.StateHash != b.StateHash
			if logs || states {
				problems = append(problems, say(
					"Les répliques %s et %s ne tiennent pas le même journal. Arrêtez celle qui ne mène pas, gardez son dossier comme preuve et prévenez les membres.",
					"The replicas %s and %s do not hold the same log. Stop the one that does not lead, keep its folder as evidence and tell the members.",
					b.ID, a.ID))
			}
		}
	}
	return problems
}

// denying finds replicas that do not let the office in. The others may only not
// have read as far: what they do not say means nothing then.
func denying(all []ReplicaStatus) (problems []protocol.Text) {
	for _, s := range all {
		if s.Denied {
			problems = append(problems, protocol.Text{
				FR: fmt.Sprintf("La réplique %s refuse le bureau\u00a0: %s", s.ID, refusal.Words(s.err).FR),
				EN: fmt.Sprintf("Replica %s refuses the office: %s", s.ID, refusal.Words(s.err).EN),
			})
		}
	}
	return problems
}

// leading says which replicas are away and whether the others can decide.
func leading(all []ReplicaStatus) (problems []protocol.Text) {
	away, led := 0, false
	for _, s := range all {
		led = led || s.State == "leader"
		if s.Error == "" {
			continue
		}
		away++
		problems = append(problems, say(
			"La réplique %s (%s) ne répond pas. Démarrez-la avec `coulisse coordinator serve`, ou vérifiez le réseau et le pare-feu.",
			"Replica %s (%s) does not answer. Start it with `coulisse coordinator serve`, or check the network and the firewall.",
			s.ID, s.Address))
	}
	switch {
	case led && 2*away >= len(all): // it could not lead, were the others of its kind
		problems = append(problems, say(
			"Le coordonnateur tourne sans la majorité de ses répliques\u00a0: il a été restauré avec --alone, ou cela vient d'arriver et il s'arrête. Un seul disque porte le coordonnateur\u00a0: sauvegardez-le chaque nuit. Si les autres sont perdues pour de bon, que les membres votent `--sole-replica`, puis ajoutez des répliques.",
			"The coordinator runs without the majority of its replicas: it was restored with --alone, or this has just happened and it will stop. A single disk carries the coordinator: back it up every night. If the others are lost for good, have the members vote `--sole-replica`, then add replicas."))
	case 2*away >= len(all):
		problems = append(problems, say(
			"%d répliques sur %d sont absentes : rien ne peut être décidé ni calculé avant qu'une majorité réponde. Les nœuds attendent, rien n'est perdu.",
			"%d of %d replicas are away: nothing can be decided or computed until a majority answers. Nodes wait, nothing is lost.",
			away, len(all)))
	case !led:
		problems = append(problems, say(
			"Aucune réplique ne mène. Si cela dure plus d'une minute, vérifiez que les répliques se joignent l'une l'autre à leurs adresses.",
			"No replica leads. If this lasts more than a minute, check that the replicas reach each other at their addresses."))
	}
	return problems
}

// lagging finds replicas that are behind, unfounded, or of another version.
func lagging(all []ReplicaStatus) (problems []protocol.Text) {
	newest, version, versions := int64(0), "", false
	for _, s := range all {
		if s.Error != "" {
			continue
		}
		newest = max(newest, s.LogSize)
		versions = versions || version != "" && s.Version != version
		version = s.Version
	}
	for _, s := range all {
		if s.NoRoom {
			problems = append(problems, say(
				"Le disque de la réplique %s est presque plein\u00a0: elle ne prend plus d'entrées et ne mène pas. Faites de la place; elle reprendra seule.",
				"The disk of replica %s is nearly full: it takes no entries and does not lead. Make room; it goes on by itself.", s.ID))
		}
		if s.Error == "" && newest-s.LogSize > behind {
			problems = append(problems, say(
				"La réplique %s a %d entrées de retard. Si l'écart ne diminue pas, son disque ou son réseau est trop lent.",
				"Replica %s is %d entries behind. If the gap does not close, its disk or its network is too slow.",
				s.ID, newest-s.LogSize))
		}
	}
	if newer := rulesToRaise(all); newer > 0 {
		problems = append(problems, say(
			"Toutes les répliques connaissent les règles %[1]d du journal, qui ne sont pas en vigueur. Quand les nœuds des membres sont à jour\u00a0: `coulisse coordinator upgrade-rules`.",
			"Every replica knows rules %[1]d of the log, which are not in force. When the members' nodes are up to date: `coulisse coordinator upgrade-rules`.", newer))
	}
	if versions {
		problems = append(problems, say(
			"Les répliques n'ont pas toutes la même version. Terminez la mise à jour, une réplique à la fois.",
			"The replicas do not all run the same version. Finish the upgrade, one replica at a time."))
	}
	return problems
}

// misdating finds clocks that are not followed: that of a machine that jumped,
// and that of a replica that the others do not share.
func misdating(all []ReplicaStatus) (problems []protocol.Text) {
	for i, s := range all {
		if s.Error != "" || s.Stamp == 0 {
			continue
		}
		if off := s.Clock.Time().Sub(s.Stamp.Time()); apart(off) {
			problems = append(problems, say(
				"L'horloge de la machine de la réplique %[1]s a sauté de %[2]s\u00a0; les entrées ne la suivent pas tant que d'autres répliques ne la confirment pas. Mettez-la à l'heure (NTP).",
				"The clock of replica %[1]s's machine has jumped by %[2]s; entries do not follow it before other replicas confirm it. Set it by NTP.",
				s.ID, off.Round(time.Second)))
		}
		var others []reading
		for j, o := range all {
			if j != i && o.Error == "" && o.Stamp != 0 {
				others = append(others, reading{answered: true, stamp: o.Stamp.Time().Sub(s.Stamp.Time())})
			}
		}
		if outvoted(others) {
			problems = append(problems, say(
				"La réplique %[1]s n'a pas l'heure des autres\u00a0: elle ne mène pas. Mettez sa machine à l'heure (NTP); elle reprendra seule.",
				"Replica %[1]s does not have the time of the others: it does not lead. Set its machine by NTP; it goes on by itself.", s.ID))
		}
	}
	return problems
}

// rulesToRaise is the newest version of the rules that every replica knows, if
// that is newer than what is in force.
func rulesToRaise(all []ReplicaStatus) int {
	least, inForce := 0, 0
	for _, s := range all {
		if s.Error != "" {
			return 0
		}
		least, inForce = cmp.Or(min(least, s.Rules), s.Rules), max(inForce, s.InForce)
	}
	if inForce == 0 || least <= inForce {
		return 0
	}
	return least
}

// expiring finds certificates that a replica should have renewed itself.
func expiring(all []ReplicaStatus, now time.Time) (problems []protocol.Text) {
	for _, s := range all {
		if s.Error != "" {
			continue
		}
		if left := s.Certificate.Time().Sub(now); left < replicaMonth {
			problems = append(problems, say(
				"Le certificat de la réplique %s expire dans %d jours et ne s'est pas renouvelé. Lisez son journal ; son dossier doit être accessible en écriture.",
				"The certificate of replica %s expires in %d days and was not renewed. Read its log; its folder must be writable.",
				s.ID, days(left)))
		}
	}
	return problems
}

// certifying finds what is to be done about the replicas' authorities.
func certifying(all []ReplicaStatus, now time.Time) (problems []protocol.Text) {
	var former []string
	for _, s := range all {
		switch {
		case s.Error != "" || s.LogSize == 0:
			continue
		case s.Authority.IsZero():
			problems = append(problems, say(
				"La réplique %s ne peut pas certifier\u00a0: elle n'a pas la clé de l'autorité que la liste lui connaît. Faites-lui en faire une autre\u00a0: `coulisse coordinator authority rotate`.",
				"Replica %s cannot certify: it does not have the key of the authority that the roll lists for it. Have it make another: `coulisse coordinator authority rotate`.", s.ID))
		case s.AuthorityUntil.Time().Sub(now) < authorityIn:
			problems = append(problems, say(
				"L'autorité de la réplique %s expire dans %d jours. Faites-en faire une autre\u00a0: `coulisse coordinator authority rotate`.",
				"The authority of replica %s expires in %d days. Have another made: `coulisse coordinator authority rotate`.",
				s.ID, days(s.AuthorityUntil.Time().Sub(now))))
		}
		if !s.Former.IsZero() {
			former = append(former, string(s.ID))
		}
	}
	if len(former) > 0 {
		problems = append(problems, say(
			"Les anciennes autorités comptent encore\u00a0: %[1]s. Sauvegardez ces répliques, puis retirez-les\u00a0: `coulisse coordinator authority retire`.",
			"Former authorities still count: %[1]s. Back those replicas up, then retire them: `coulisse coordinator authority retire`.", strings.Join(former, ", ")))
	}
	return problems
}
