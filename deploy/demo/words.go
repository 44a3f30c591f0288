package demo

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"coulisse/crypto/dp"
	"coulisse/protocol"
)

func text(fr, en string) protocol.Text { return protocol.Text{FR: fr, EN: en} }

// number groups figures by three, with a no-break space or a comma.
func number(n int64, lang string) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "−", digits[1:]
	}
	separator := text("\u00a0", ",").In(lang)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + separator + digits[i:]
	}
	return sign + digits
}

// decimal writes a number with one digit after the point.
func decimal(v float64, lang string) string {
	point := text(",", ".").In(lang)
	return strings.Replace(strconv.FormatFloat(v, 'f', 1, 64), ".", point, 1)
}

// rho is privacy loss as a decimal number.
func rho(r dp.NanoRho, lang string) string {
	digits := strings.TrimSuffix(strings.TrimRight(r.String(), "0"), ".")
	return strings.Replace(digits, ".", text(",", ".").In(lang), 1)
}

func seconds(d time.Duration, lang string) string {
	return decimal(d.Seconds(), lang) + "\u00a0s"
}

// size writes a number of bytes in the unit that fits.
func size(n int64, lang string) string {
	units := []protocol.Text{text("o", "B"), text("Kio", "KiB"), text("Mio", "MiB"), text("Gio", "GiB")}
	v, unit := float64(n), 0
	for v >= 1024 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	if unit == 0 || v >= 100 {
		return number(int64(v+0.5), lang) + "\u00a0" + units[unit].In(lang)
	}
	return decimal(v, lang) + "\u00a0" + units[unit].In(lang)
}

// listed joins names as a sentence does.
func listed(names []string, lang string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return fmt.Sprintf("%s%s%s", strings.Join(names[:last], ", "), text(" et ", " and ").In(lang), names[last])
}
