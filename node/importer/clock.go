package importer

import (
	"strings"
	"time"
)

// clock reads the time behind a date, if there is one: "19:30", "19 h 30",
// "7:30 PM", "T19:30:00.000-05:00".
func (s *scanner) clock(m *moment) bool {
	for s.take(" ,T") != 0 {
	}
	for _, word := range []string{"à ", "at ", "a "} {
		s.rest = strings.TrimPrefix(s.rest, word)
	}
	s.blanks()
	if s.rest == "" {
		return true
	}
	hour, digits := s.number()
	if digits == 0 || digits > 2 || hour > 23 {
		return false
	}
	minute, second, nano, ok := s.minutes()
	if !ok {
		return false
	}
	if hour, ok = s.half(hour); !ok {
		return false
	}
	m.timed = true
	m.clock = time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute +
		time.Duration(second)*time.Second + time.Duration(nano)
	return s.offset(m)
}

// minutes reads what follows the hour, down to fractions of a second.
func (s *scanner) minutes() (minute, second, nano int, ok bool) {
	s.blanks()
	separator := s.take(":hH")
	if separator == 0 {
		// "7 PM" has no minutes; a bare "19" is no time.
		return 0, 0, 0, s.rest != "" && strings.IndexByte("aApP", s.rest[0]) >= 0
	}
	s.blanks()
	minute, digits := s.number()
	if digits == 0 {
		return 0, 0, 0, separator != ':'
	}
	if digits != 2 || minute > 59 {
		return 0, 0, 0, false
	}
	if s.take(":") == 0 {
		return minute, 0, 0, true
	}
	if second, digits = s.number(); digits != 2 || second > 59 {
		return 0, 0, 0, false
	}
	if s.take(".,") != 0 {
		fraction, digits := s.number()
		if digits == 0 || digits > 9 {
			return 0, 0, 0, false
		}
		for ; digits < 9; digits++ {
			fraction *= 10
		}
		nano = fraction
	}
	return minute, second, nano, true
}

// half applies AM or PM, if one is there.
func (s *scanner) half(hour int) (int, bool) {
	s.blanks()
	if s.rest == "" || strings.IndexByte("aApP", s.rest[0]) < 0 {
		return hour, true
	}
	letter := s.rest[0] | 0x20
	s.rest = s.rest[1:]
	s.take(".")
	if s.take("mM") == 0 || hour < 1 || hour > 12 {
		return 0, false
	}
	s.take(".")
	hour %= 12
	if letter == 'p' {
		hour += 12
	}
	return hour, true
}

// offset reads "Z", "UTC", "-05:00", "-0500" or "-05".
func (s *scanner) offset(m *moment) bool {
	s.blanks()
	switch {
	case s.rest == "":
		return true
	case s.rest == "Z" || s.rest == "z" || s.rest == "UTC" || s.rest == "GMT":
		s.rest = ""
		m.offset = time.UTC
		return true
	}
	sign := s.take("+-")
	if sign == 0 {
		return false
	}
	hours, digits := s.number()
	minutes := 0
	switch {
	case digits == 4:
		hours, minutes = hours/100, hours%100
	case digits != 2:
		return false
	case s.take(":") != 0:
		if minutes, digits = s.number(); digits != 2 {
			return false
		}
	}
	if hours > 14 || minutes > 59 {
		return false
	}
	seconds := hours*3600 + minutes*60
	if sign == '-' {
		seconds = -seconds
	}
	m.offset = time.FixedZone("", seconds)
	return true
}
