package coordinator

import (
	"fmt"
	"time"

	"coulisse/protocol"
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
	problems := diverging(all)
	problems = append(problems, leading(all)...)
	problems = append(problems, lagging(all)...)
	problems = append(problems, expiring(all, now)...)
	if left := o.creds.certificate.Leaf.NotAfter.Sub(now); left < officeMonth {
		problems = append(problems, say(
			"Le certificat du bureau expire dans %d jours. Sur la machine d'une réplique : `coulisse coordinator renew-operator DOSSIER_DE_LA_REPLIQUE DOSSIER_DU_BUREAU`.",
			"The office's certificate expires in %d days. On a replica's machine: `coulisse coordinator renew-operator REPLICA_DIR OPERATOR_DIR`.",
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
					"Les répliques %s et %s ne tiennent pas le même registre. Arrêtez celle qui ne mène pas, gardez son dossier comme preuve et prévenez les membres.",
					"The replicas %s and %s do not hold the same log. Stop the one that does not lead, keep its folder as evidence and tell the members.",
					b.ID, a.ID))
			}
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
		if s.Error == "" && newest-s.LogSize > behind {
			problems = append(problems, say(
				"La réplique %s a %d entrées de retard. Si l'écart ne diminue pas, son disque ou son réseau est trop lent.",
				"Replica %s is %d entries behind. If the gap does not close, its disk or its network is too slow.",
				s.ID, newest-s.LogSize))
		}
	}
	if versions {
		problems = append(problems, say(
			"Les répliques n'ont pas toutes la même version. Terminez la mise à jour, une réplique à la fois.",
			"The replicas do not all run the same version. Finish the upgrade, one replica at a time."))
	}
	return problems
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
