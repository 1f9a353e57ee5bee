package mirror

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Bounds of the interval of a schedule such as "6h".
const (
	minRate = 5 * time.Minute
	maxRate = 366 * 24 * time.Hour
)

// searchLimit bounds the search for the next time. Two leap days can be 8 years
// apart.
const searchLimit = 9 * 366 * 24 * time.Hour

// cron is a parsed schedule.
type cron struct {
	every time.Duration // 0 for a line of crontab

	minutes, hours, days, months, weekdays uint64 // bit n is set if n matches
	eitherDay                              bool   // a match of the day of the month or of the week suffices
}

var rateUnits = map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}

// parseCron parses a schedule, in UTC. It is a number of minutes, hours, days or
// weeks, such as "6h", or five fields of crontab(5), such as "30 4 * * 1-5". A
// field is made of numbers, ranges, steps and lists. Names are not accepted.
func parseCron(text string) (cron, error) {
	fields := strings.Fields(text)
	if len(fields) == 1 && len(fields[0]) > 1 {
		word := fields[0]
		unit, ok := rateUnits[word[len(word)-1]]
		n, err := strconv.ParseUint(word[:len(word)-1], 10, 20)
		if every := time.Duration(n) * unit; ok && err == nil && every >= minRate && every <= maxRate {
			return cron{every: every}, nil
		}
	}
	wrong := fmt.Errorf("invalid schedule %.100q: a number of m, h, d or w, from 5m to 366d, or five fields of crontab", text)
	if len(fields) != 5 || len(text) > 500 {
		return cron{}, wrong
	}
	var w cron
	for i, f := range []struct {
		bits     *uint64
		min, max int
	}{{&w.minutes, 0, 59}, {&w.hours, 0, 23}, {&w.days, 1, 31}, {&w.months, 1, 12}, {&w.weekdays, 0, 7}} {
		for part := range strings.SplitSeq(fields[i], ",") {
			set, ok := parseRange(part, f.min, f.max)
			if !ok {
				return cron{}, wrong
			}
			*f.bits |= set
		}
	}
	if w.weekdays&(1<<7) != 0 { // 7 is Sunday, like 0
		w.weekdays |= 1
	}
	w.eitherDay = !strings.HasPrefix(fields[2], "*") && !strings.HasPrefix(fields[4], "*")
	if _, ok := w.next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
		return cron{}, fmt.Errorf("invalid schedule %.100q: there is no such day", text)
	}
	return w, nil
}

// parseRange parses "*", "a" or "a-b", each optionally followed by "/step".
func parseRange(text string, first, last int) (set uint64, ok bool) {
	span, step, stepped := strings.Cut(text, "/")
	by := 1
	if stepped {
		if by, ok = parseNumber(step, 1, last); !ok {
			return 0, false
		}
	}
	if span != "*" {
		from, to, ranged := strings.Cut(span, "-")
		top := last
		if first, ok = parseNumber(from, first, top); !ok {
			return 0, false
		}
		if last = first; ranged {
			if last, ok = parseNumber(to, first, top); !ok {
				return 0, false
			}
		} else if stepped {
			last = top
		}
	}
	for n := first; n <= last; n += by {
		set |= 1 << n
	}
	return set, true
}

func parseNumber(text string, least, most int) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 8)
	return int(n), err == nil && int(n) >= least && int(n) <= most
}

// next returns the first matching time after another, if there is one.
func (w cron) next(after time.Time) (time.Time, bool) {
	if w.every > 0 {
		return after.Add(w.every), true
	}
	t := after.UTC().Truncate(time.Minute).Add(time.Minute)
	for end := t.Add(searchLimit); t.Before(end); {
		year, month, day := t.Date()
		switch {
		case w.months&(1<<month) == 0:
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case !w.matchesDay(t):
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case w.hours&(1<<t.Hour()) == 0:
			t = time.Date(year, month, day, t.Hour()+1, 0, 0, 0, time.UTC)
		case w.minutes>>t.Minute() == 0:
			t = time.Date(year, month, day, t.Hour()+1, 0, 0, 0, time.UTC)
		default:
			return t.Add(time.Duration(bits.TrailingZeros64(w.minutes>>t.Minute())) * time.Minute), true
		}
	}
	return time.Time{}, false
}

func (w cron) matchesDay(t time.Time) bool {
	month, week := w.days&(1<<t.Day()) != 0, w.weekdays&(1<<t.Weekday()) != 0
	if w.eitherDay {
		return month || week
	}
	return month && week
}
