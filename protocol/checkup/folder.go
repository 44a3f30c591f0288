package checkup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"coulisse/crypto/durable"
)

// stale is how old a half-written file is when its writer must be gone.
const stale = 10 * time.Minute

// Folder looks at who can read a folder and the files in it, whose they are,
// and what interrupted writes have left there. public are names that others
// may read.
func Folder(dir string, now time.Time, public ...string) (r Report) {
	info, err := os.Stat(dir)
	if err != nil {
		r.Add(Broken, Say("Le dossier %s ne s'ouvre pas (%v).", "The folder %s does not open (%v).", dir, reason(err)),
			Say("Vérifiez le chemin, et lancez cette commande sous le compte à qui le dossier appartient.",
				"Check the path, and run this command as the account that the folder belongs to."))
		return r
	}
	r.Join(readable(dir, info, 0o700))
	r.Join(owned(dir, info))
	entries, err := os.ReadDir(dir)
	if err != nil {
		r.Add(Broken, Say("Le dossier %s ne se lit pas (%v).", "The folder %s cannot be read (%v).", dir, reason(err)),
			Say("Lancez cette commande sous le compte à qui le dossier appartient.", "Run this command as the account that the folder belongs to."))
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone since, or a link to a disk that is away
			if linked, err := os.Lstat(path); err == nil && linked.Mode()&fs.ModeSymlink != 0 {
				r.Add(Broken, Say("Le lien %s ne mène nulle part.", "The link %s leads nowhere.", path),
					Say("Remettez le disque où se trouve ce fichier.", "Put back the disk that this file is on."))
			}
		case err != nil || info.Mode()&fs.ModeSocket != 0 || contains(public, entry.Name()):
		case durable.IsTemporary(entry.Name()):
			r.Join(leftover(path, now.Sub(info.ModTime())))
		case info.IsDir():
			r.Join(readable(path, info, 0o700))
		default:
			r.Join(readable(path, info, 0o600))
			r.Join(owned(path, info))
		}
	}
	return r
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// readable finds what others on the machine can read.
func readable(path string, info fs.FileInfo, want fs.FileMode) (r Report) {
	if runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 { // there access lists decide
		return nil
	}
	r.Add(Danger, Say("D'autres comptes de cette machine ont accès à %s (mode %04o).", "Other accounts of this machine have access to %s (mode %04o).", path, info.Mode().Perm()),
		Say("chmod %04o %s", "chmod %04o %s", want, path))
	return r
}

// leftover is a file that was never finished.
func leftover(path string, age time.Duration) (r Report) {
	if age < stale {
		return nil
	}
	r.Add(Notice, Say("%s est resté d'une écriture interrompue.", "%s was left by an interrupted write.", path),
		Say("Supprimez-le. S'il en revient, le disque est plein ou le processus est tué en écrivant.", "Delete it. If more come, the disk is full or the process is killed while it writes."))
	return r
}

// reason is an error of the system without its path.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// strange is a file of another account.
func strange(path string) Finding {
	return Finding{Danger, Say("%s n'appartient pas au compte qui lance cette commande.", "%s does not belong to the account that runs this command.", path),
		Say("Lancez-la sous le compte du service, ou rendez-lui le dossier avec chown.", "Run it as the service's account, or give that one the folder with chown.")}
}
