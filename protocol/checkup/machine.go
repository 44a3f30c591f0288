package checkup

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"coulisse/protocol"
)

// Space looks for so many free bytes on the disk of a folder.
func Space(dir string, need uint64) Report {
	free, ok := FreeBytes(dir)
	if !ok {
		return nil // this system does not tell, or the folder is not there
	}
	return space(dir, free, need)
}

const gib = 1 << 30

func space(dir string, free, need uint64) (r Report) {
	if free >= need {
		return nil
	}
	g := Danger
	if free < need/8 {
		g = Broken
	}
	r.Add(g, Say("Le disque de %s a %.1f Gio de libre\u00a0; il en faut %.1f.", "The disk of %s has %.1f GiB free; it takes %.1f.",
		dir, float64(free)/gib, float64(need)/gib),
		Say("Faites de la place, ou déplacez le dossier sur un plus grand disque, une fois le programme arrêté.",
			"Make room, or move the folder to a larger disk, once the program is stopped."))
	return r
}

// Descriptors looks at how many files and connections a process may have open.
func Descriptors(need uint64) Report {
	limit, ok := openFiles()
	if !ok {
		return nil
	}
	return descriptors(limit, need)
}

func descriptors(limit, need uint64) (r Report) {
	if limit >= need {
		return nil
	}
	r.Add(Danger, Say("Ce compte peut ouvrir %d fichiers et connexions à la fois\u00a0; il en faut %d.", "This account may have %d files and connections open at once; it takes %d.", limit, need),
		Say("Ajoutez LimitNOFILE=%d à l'unité systemd, ou «\u00a0ulimit -n %[1]d\u00a0».", "Add LimitNOFILE=%d to the systemd unit, or “ulimit -n %[1]d”.", need))
	return r
}

// MaxSkew is how far clocks may be apart before it is told.
const MaxSkew = 30 * time.Second

// Clock compares this machine's clock with that of whoever answered, between
// two moments of this one.
func Clock(who string, theirs, asked, answered time.Time) (r Report) {
	ahead := time.Duration(0)
	switch { // the way there and back takes its time
	case theirs.After(answered):
		ahead = theirs.Sub(answered)
	case theirs.Before(asked):
		ahead = theirs.Sub(asked)
	}
	g := Danger
	switch off := ahead.Abs(); {
	case off <= MaxSkew:
		return nil
	case off > 10*MaxSkew:
		g = Broken
	}
	what := Say("L'horloge de %[1]s avance de %[2]s sur celle de cette machine.", "The clock of %[1]s is %[2]s ahead of this machine's.", who, ahead.Abs().Round(time.Second))
	if ahead < 0 {
		what = Say("L'horloge de %[1]s retarde de %[2]s sur celle de cette machine.", "The clock of %[1]s is %[2]s behind this machine's.", who, ahead.Abs().Round(time.Second))
	}
	r.Add(g, what, Say("Mettez les deux à l'heure (NTP)\u00a0: les votes se ferment à l'heure du coordonnateur.", "Set both by NTP: votes close by the coordinator's clock."))
	return r
}

// instant is how a moment is written.
const instant = "2006-01-02 15:04 MST"

// Certificate looks at the dates of a certificate; renew says how to get
// another one.
func Certificate(of protocol.Text, c *x509.Certificate, now time.Time, soon time.Duration, renew protocol.Text) (r Report) {
	switch left := c.NotAfter.Sub(now); {
	case left <= 0:
		r.Add(Broken, both(of, "%s a expiré le %s.", "%s expired on %s.", c.NotAfter.Format(instant)), renew)
	case now.Before(c.NotBefore):
		r.Add(Broken, both(of, "%s ne vaut qu'à partir du %s.", "%s is good from %s on only.", c.NotBefore.Format(instant)),
			Say("L'horloge de cette machine retarde\u00a0: mettez-la à l'heure.", "This machine's clock is behind: set it."))
	case left < soon:
		r.Add(Danger, both(of, "%s expire le %s.", "%s expires on %s.", c.NotAfter.Format(instant)), renew)
	}
	return r
}

func both(of protocol.Text, fr, en, value string) protocol.Text {
	return protocol.Text{FR: fmt.Sprintf(fr, of.FR, value), EN: fmt.Sprintf(en, of.EN, value)}
}

// dialling is how long an address may take to answer.
const dialling = 3 * time.Second

// Reach looks whether an address has a host that resolves and a port that
// answers from here; start says what to do if it does not answer.
func Reach(ctx context.Context, who protocol.Text, address string, start protocol.Text) Report {
	ctx, cancel := context.WithTimeout(ctx, dialling)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		conn.Close()
		return nil
	}
	return unreached(who, address, err, start)
}

func unreached(who protocol.Text, address string, err error, start protocol.Text) (r Report) {
	var unknown *net.DNSError
	if errors.As(err, &unknown) {
		r.Add(Broken, both(who, "L'adresse pour joindre %s, %s, ne se résout pas.", "The address to reach %s, %s, does not resolve.", address),
			Say("Vérifiez le DNS de cette machine et l'orthographe de l'adresse.", "Check this machine's DNS and the spelling of the address."))
		return r
	}
	r.Add(Broken, both(who, "On ne peut pas joindre %s à %s.", "One cannot reach %s at %s.", address), start)
	return r
}
