package coordinator

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/refusal"
)

func TestDiagnose(t *testing.T) {
	now := time.Now()
	well := func() []ReplicaStatus {
		all := make([]ReplicaStatus, 3)
		for i, id := range []protocol.ReplicaID{"r1", "r2", "r3"} {
			all[i] = ReplicaStatus{
				ID: id, Address: "there", State: "follower", Applied: 90, LogSize: 80, LogRoot: "aa", StateHash: "bb",
				Version: "1", Certificate: protocol.At(now.Add(300 * 24 * time.Hour)),
				Authority: protocol.HashOf([]byte(id)), AuthorityUntil: protocol.At(now.Add(3650 * 24 * time.Hour)),
			}
		}
		all[0].State = "leader"
		return all
	}
	office := func(left time.Duration) *Office {
		return &Office{creds: credential{certificate: tls.Certificate{Leaf: &x509.Certificate{NotAfter: now.Add(left)}}}}
	}
	year := 365 * 24 * time.Hour
	for name, test := range map[string]struct {
		change func([]ReplicaStatus)
		left   time.Duration
		want   []string // of the English sentences, in order
	}{
		"all is well": {func([]ReplicaStatus) {}, year, nil},
		"one away": {func(all []ReplicaStatus) { all[1].Error = "no" }, year, []string{
			"Replica r2 (there) does not answer"}},
		"the leader away": {func(all []ReplicaStatus) { all[0] = ReplicaStatus{ID: "r1", Error: "no"} }, year, []string{
			"Replica r1 () does not answer", "No replica leads"}},
		"two away": {func(all []ReplicaStatus) { all[0].Error, all[2].Error, all[0].State = "no", "no", "" }, year, []string{
			"Replica r1", "Replica r3", "2 of 3 replicas are away"}},
		"one that runs alone": {func(all []ReplicaStatus) { all[1].Error, all[2].Error = "no", "no" }, year, []string{
			"Replica r2", "Replica r3", "The coordinator runs without the majority"}},
		"another log": {func(all []ReplicaStatus) { all[2].LogRoot = "cc" }, year, []string{
			"The replicas r1 and r3 do not hold the same log", "The replicas r2 and r3 do not"}},
		"another state": {func(all []ReplicaStatus) { all[2].StateHash = "cc" }, year, []string{
			"The replicas r1 and r3 do not hold the same log", "The replicas r2 and r3 do not"}},
		"a little behind": {func(all []ReplicaStatus) {
			all[2].LogSize, all[2].LogRoot, all[2].Applied, all[2].StateHash = 79, "cc", 89, "dd"
		}, year, nil},
		"far behind": {func(all []ReplicaStatus) { all[0].LogSize, all[1].LogSize = 5000, 5000 }, year, []string{
			"Replica r3 is 4920 entries behind"}},
		"no room": {func(all []ReplicaStatus) { all[1].NoRoom = true }, year, []string{
			"The disk of replica r2 is nearly full: it takes no entries and does not lead. Make room"}},
		"newer rules": {func(all []ReplicaStatus) {
			for i := range all {
				all[i].Rules, all[i].InForce = 2, 1
			}
		}, year, []string{"Every replica knows rules 2"}},
		"newer rules at some": {func(all []ReplicaStatus) {
			for i := range all {
				all[i].Rules, all[i].InForce = 1+i%2, 1
			}
		}, year, nil},
		"half upgraded": {func(all []ReplicaStatus) { all[1].Version = "2" }, year, []string{"The replicas do not all run the same version"}},
		"a certificate that was not renewed": {func(all []ReplicaStatus) { all[1].Certificate = protocol.At(now.Add(50 * time.Hour)) }, year, []string{
			"The certificate of replica r2 expires in 2 days"}},
		"the office is denied": {func(all []ReplicaStatus) {
			all[0] = ReplicaStatus{ID: "r1", Error: "no", Denied: true, err: protocol.Refuse(refusal.ErrUnavailable, "non", "no")}
			all[1], all[2] = ReplicaStatus{ID: "r2", Error: "later"}, ReplicaStatus{ID: "r3", Error: "later"}
		}, year, []string{"Replica r1 refuses the office: No"}},
		"an authority that expires": {func(all []ReplicaStatus) { all[1].AuthorityUntil = protocol.At(now.Add(100*24*time.Hour + time.Hour)) }, year, []string{
			"The authority of replica r2 expires in 100 days"}},
		"a key that a restoration did not have": {func(all []ReplicaStatus) { all[1].Authority = protocol.Hash{} }, year, []string{"Replica r2 cannot certify"}},
		"a rotation under way": {func(all []ReplicaStatus) {
			all[0].Former, all[2].Former = protocol.HashOf([]byte("1")), protocol.HashOf([]byte("3"))
		}, year, []string{"Former authorities still count: r1, r3. Back those replicas up, then retire them"}},
		"the office's certificate": {func([]ReplicaStatus) {}, 20 * 24 * time.Hour, []string{"The office's certificate expires in 20 days"}},
	} {
		all := well()
		test.change(all)
		got := office(test.left).Diagnose(all, now)
		if len(got) != len(test.want) {
			t.Errorf("%s: %v", name, got)
			continue
		}
		for i, text := range got {
			if !strings.HasPrefix(text.EN, test.want[i]) || text.Check() != nil {
				t.Errorf("%s: %+v, not %q", name, text, test.want[i])
			}
		}
	}
}
