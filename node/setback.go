package node

import (
	"context"
	"sync"
	"time"

	"coulisse/protocol"
)

// setback notices a coordinator that holds less than this node: what a node has
// read, a majority of the replicas had on disk. So it was restored from a backup
// that is older than this node's copy, and goes its own way from there.
type setback struct {
	// mu guards the rest.
	mu      sync.Mutex
	since   time.Time // zero while it holds as much
	missing int64
}

// catchingUp is more than a leader that has just been elected needs.
const catchingUp = 5 * time.Second

func (s *setback) look(missing int64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case missing <= 0:
		s.since, s.missing = time.Time{}, 0
	case s.since.IsZero():
		s.since = now
	case now.Sub(s.since) >= catchingUp:
		s.missing = missing
	}
}

func (s *setback) now() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missing
}

// compareExtent asks the leader how far its log is. The error says that nobody
// leads.
func (n *Node) compareExtent(ctx context.Context) error {
	own := n.witness.Size() // before the question: the log only grows
	size, err := n.client.Extent(ctx)
	if err == nil {
		n.setback.look(own-size, time.Now())
	}
	return err
}

// behindUs is the trouble about a coordinator that holds so many entries less.
func behindUs(missing int64) Trouble {
	return Trouble{
		both("Le coordonnateur tient %d entrées de moins que ce nœud\u00a0: il a été restauré à partir d'une sauvegarde plus ancienne.",
			"The coordinator holds %d entries less than this node: it was restored from an older backup.", int(missing)),
		protocol.Text{
			FR: "Ne supprimez rien. Donnez votre copie au bureau de la coopérative\u00a0: «\u00a0coulisse log export --out copie.jsonl\u00a0». Quand il aura restauré avec elle, le nœud reprendra de lui-même.",
			EN: "Delete nothing. Give your copy to the co-operative's office: “coulisse log export --out copy.jsonl”. Once it has restored with it, the node goes on by itself.",
		},
	}
}
