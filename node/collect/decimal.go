package collect

import (
	"regexp"
	"strconv"
	"strings"
)

// amount is how sites write one as text.
var amount = regexp.MustCompile(`^-?[0-9]{1,10}(\.[0-9]{1,30}|,[0-9]{1,2})?$`)

// decimal reads a number as JSON writes it and returns it times ten to the
// power of places, rounded half away from zero, and whether that is exact.
// Floating point would do neither. ok is false for what an int64 does not hold.
func decimal(literal string, places int) (n int64, exact, ok bool) {
	digits, negative := strings.CutPrefix(literal, "-")
	if mantissa, exponent, found := strings.Cut(strings.ToLower(digits), "e"); found {
		power, err := strconv.Atoi(exponent)
		if err != nil { // out of an int's range
			power = 1 << 40
			if strings.HasPrefix(exponent, "-") {
				power = -power
			}
		}
		digits, places = mantissa, places+power
	}
	before, after, _ := strings.Cut(digits, ".")
	digits = strings.TrimLeft(before+after, "0")
	if digits == "" {
		return 0, true, true
	}
	point := len(digits) - len(after) + places // where the point falls
	switch {
	case point > 18:
		return 0, false, false
	case point < 0:
		return 0, false, true
	case point > len(digits):
		digits += strings.Repeat("0", point-len(digits))
	}
	n, _ = strconv.ParseInt("0"+digits[:point], 10, 64) // at most 18 digits
	rest := digits[point:]
	if rest != "" && rest[0] >= '5' {
		n++
	}
	if negative {
		n = -n
	}
	return n, strings.Trim(rest, "0") == "", true
}
