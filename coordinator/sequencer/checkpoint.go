package sequencer

import (
	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
)

// Checkpoint signs the head of the log in tx as this replica.
func (s *Sequencer) Checkpoint(tx federation.Tx) (head protocol.Head, note []byte, err error) {
	view, err := federation.View(tx)
	if err != nil {
		return head, nil, err
	}
	if head, err = federation.Head(tx); err != nil {
		return head, nil, err
	}
	note, err = checkpoint.Sign(checkpoint.OriginOf(view), head, s.key)
	return head, note, err
}
