package mirror

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCron(t *testing.T) {
	after := time.Date(2026, 2, 27, 22, 30, 15, 0, time.UTC) // a Friday
	for text, want := range map[string]string{
		"5m": "2026-02-27 22:35:15", "6h": "2026-02-28 04:30:15", "1d": "2026-02-28 22:30:15", "2w": "2026-03-13 22:30:15",
		"* * * * *": "2026-02-27 22:31:00", "30 * * * *": "2026-02-27 23:30:00", "*/15 * * * *": "2026-02-27 22:45:00",
		"0 4 * * *": "2026-02-28 04:00:00", "0 4 * * 1-5": "2026-03-02 04:00:00", "0 0 29 2 *": "2028-02-29 00:00:00",
		"0 0 31 * *": "2026-03-31 00:00:00", "5,10 3-4 1 */6 *": "2026-07-01 03:05:00", "0 12 13 * 5": "2026-03-06 12:00:00",
		"0 12 * * 0": "2026-03-01 12:00:00", "0 12 * * 7": "2026-03-01 12:00:00", "10/20 22 * * *": "2026-02-27 22:50:00",
		"0 0 1 1 *": "2027-01-01 00:00:00",
	} {
		w, err := parseCron(text)
		got, ok := w.next(after)
		if err != nil || !ok || got.Format("2006-01-02 15:04:05") != want {
			t.Errorf("%q: %v, %t, %v, want %s", text, got, ok, err, want)
		}
	}
	for _, text := range []string{
		"", "m", "4m", "0h", "367d", "-6h", "6", "6y", "99999999999999w", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *",
		"* * * 13 *", "* * * * 8", "5-4 * * * *", "*/0 * * * *", "*/60 * * * *", "a * * * *", "1, * * * *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "@daily",
	} {
		if w, err := parseCron(text); err == nil {
			t.Errorf("%q is taken as %+v", text, w)
		}
	}
}

// TestNextIsFirst compares next with a search minute by minute.
func TestNextIsFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := func(name string, least, most int) string {
			a := rapid.IntRange(least, most).Draw(t, name)
			b := rapid.IntRange(a, most).Draw(t, name+" to")
			return rapid.SampledFrom([]string{"*", fmt.Sprint(a), fmt.Sprintf("%d-%d", a, b), fmt.Sprintf("%d,%d", a, b), fmt.Sprintf("*/%d", max(a, 1)), fmt.Sprintf("%d-%d/3", a, b)}).Draw(t, name+" form")
		}
		text := fmt.Sprintf("%s %s %s * %s", field("minute", 0, 59), field("hour", 0, 23), field("day", 1, 28), field("weekday", 0, 6))
		w, err := parseCron(text)
		if err != nil {
			t.Fatal(err)
		}
		after := time.Unix(1_700_000_000+rapid.Int64Range(0, 400_000_000).Draw(t, "after"), 0).UTC()
		got, ok := w.next(after)
		matches := func(at time.Time) bool {
			return w.minutes&(1<<at.Minute()) != 0 && w.hours&(1<<at.Hour()) != 0 && w.matchesDay(at)
		}
		if !ok || !matches(got) || got.Second() != 0 || !got.After(after) {
			t.Fatalf("%q after %v: %v", text, after, got)
		}
		for at := after.Truncate(time.Minute).Add(time.Minute); at.Before(got); at = at.Add(time.Minute) {
			if matches(at) {
				t.Fatalf("%q after %v: %v, but %v is before", text, after, got, at)
			}
		}
	})
}

func FuzzParseCron(f *testing.F) {
	for _, text := range []string{"6h", "* * * * *", "30 4 * * 1-5", "*/5 1,2 1-31/2 12 0", "0 0 30 2 *"} {
		f.Add(text)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		w, err := parseCron(text)
		if err != nil {
			return
		}
		if next, ok := w.next(now); !ok || !next.After(now) {
			t.Errorf("%q: %v, %t", text, next, ok)
		}
	})
}
