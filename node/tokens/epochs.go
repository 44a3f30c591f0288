package tokens

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"coulisse/crypto/durable"
	"coulisse/protocol"
)

func epochFolder(epoch protocol.Epoch) string { return fmt.Sprintf("epoch-%d", epoch) }

// epochsIn lists the key epochs of which a folder has tokens, ascending. What
// is left of an epoch that was being deleted is deleted.
func epochsIn(dir string) ([]protocol.Epoch, error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var epochs []protocol.Epoch
	for _, entry := range entries {
		var epoch protocol.Epoch
		if durable.IsTemporary(entry.Name()) {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return nil, err
			}
		} else if _, err := fmt.Sscanf(entry.Name(), "epoch-%d", &epoch); err == nil && entry.Name() == epochFolder(epoch) {
			epochs = append(epochs, epoch)
		}
	}
	slices.Sort(epochs)
	return epochs, nil
}

// deleteEpoch deletes all tokens of an epoch. Its folder loses its name first:
// half a folder of tokens would be a damaged one.
func deleteEpoch(dir string, epoch protocol.Epoch) error {
	path := filepath.Join(dir, epochFolder(epoch))
	doomed := filepath.Join(dir, "."+epochFolder(epoch)+".tmp")
	err := os.RemoveAll(doomed)
	if err == nil {
		err = os.Rename(path, doomed)
	}
	if os.IsNotExist(err) {
		return nil
	}
	if err == nil {
		err = durable.SyncFolder(dir)
	}
	if err == nil {
		err = os.RemoveAll(doomed)
	}
	if err != nil {
		return fmt.Errorf("delete the tokens of a key epoch: %w", err)
	}
	return nil
}
