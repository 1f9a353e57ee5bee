package lock

import (
	"errors"
	"math"
	"slices"
	"testing"

	"aptless/core/engine/driver"
)

func key(sort string) driver.Key { return driver.Key{Part: "thing", Sort: sort} }

// commit writes the operations of tx.
func commit(t *testing.T, tab driver.Table, tx *Tx) error {
	t.Helper()
	ops, err := tx.Ops()
	if err != nil {
		return err
	}
	_, err = tab.Write(t.Context(), ops...)
	return err
}

func store(t *testing.T, tab driver.Table, sort, data string) {
	t.Helper()
	if err := tab.Put(t.Context(), driver.Row{Key: key(sort), Data: []byte(data)}); err != nil {
		t.Fatal(err)
	}
}

// TestTxFailsIfAReadRowChanged changes a row, or creates an absent one, after a Tx has read it.
// The write of the Tx fails.
func TestTxFailsIfAReadRowChanged(t *testing.T) {
	meanwhile := map[string]func(t *testing.T, tab driver.Table){
		"the row that is written changes":      func(t *testing.T, tab driver.Table) { store(t, tab, "written", "theirs") },
		"the row that was only read changes":   func(t *testing.T, tab driver.Table) { store(t, tab, "read", "theirs") },
		"a row read as absent appears":         func(t *testing.T, tab driver.Table) { store(t, tab, "absent", "theirs") },
		"a row put without being read appears": func(t *testing.T, tab driver.Table) { store(t, tab, "new", "theirs") },
		"the row to be deleted changes":        func(t *testing.T, tab driver.Table) { store(t, tab, "deleted", "theirs") },
		"the row that was read is deleted and made again as it was": func(t *testing.T, tab driver.Table) {
			row, err := tab.Get(t.Context(), key("read"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tab.Write(t.Context(), driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version}); err != nil {
				t.Fatal(err)
			}
			store(t, tab, "read", "old")
		},
		"": func(*testing.T, driver.Table) {},
	}
	for name, act := range meanwhile {
		t.Run(name, func(t *testing.T) {
			tab := table()
			for _, sort := range []string{"written", "read", "deleted"} {
				store(t, tab, sort, "old")
			}
			tx := NewTx(tab)
			for _, sort := range []string{"written", "read", "deleted"} {
				if data, err := tx.Get(t.Context(), key(sort)); err != nil || string(data) != "old" {
					t.Fatalf("%s is %q, %v", sort, data, err)
				}
			}
			if _, err := tx.Get(t.Context(), key("absent")); !errors.Is(err, driver.ErrNotFound) {
				t.Fatal(err)
			}
			tx.Put(key("written"), []byte("ours"))
			tx.Put(key("new"), []byte("ours"))
			tx.Drop(key("deleted"))
			act(t, tab)
			err := commit(t, tab, tx)
			if name != "" {
				if !errors.Is(err, driver.ErrConflict) {
					t.Fatalf("committed over it: %v", err)
				}
				if row, err := tab.Get(t.Context(), key("written")); err != nil || string(row.Data) == "ours" {
					t.Errorf("written in part: %q, %v", row.Data, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for sort, want := range map[string]string{"written": "ours", "new": "ours", "read": "old", "deleted": "", "absent": ""} {
				row, err := tab.Get(t.Context(), key(sort))
				if string(row.Data) != want || (want == "") != errors.Is(err, driver.ErrNotFound) {
					t.Errorf("%s is %q, %v; want %q", sort, row.Data, err, want)
				}
			}
		})
	}
}

// TestTxReadsItsWrites holds that a Tx reads each row once, and sees its own
// writes.
func TestTxReadsItsWrites(t *testing.T) {
	tab := table()
	store(t, tab, "a", `{"N":1}`)
	tx := NewTx(tab)
	var v struct{ N int }
	if err := tx.GetJSON(t.Context(), key("a"), &v); err != nil || v.N != 1 {
		t.Fatal(v, err)
	}
	store(t, tab, "a", `{"N":2}`)
	if err := tx.GetJSON(t.Context(), key("a"), &v); err != nil || v.N != 1 {
		t.Errorf("the second read saw another row: %v, %v", v, err)
	}
	v.N = 3
	tx.PutJSON(key("a"), v)
	if err := tx.GetJSON(t.Context(), key("a"), &v); err != nil || v.N != 3 {
		t.Errorf("its own write is not seen: %v, %v", v, err)
	}
	tx.Drop(key("a"))
	if _, err := tx.Get(t.Context(), key("a")); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("a deleted row is read: %v", err)
	}
	tx.Put(key("empty"), nil)
	if data, err := tx.Get(t.Context(), key("empty")); err != nil || len(data) != 0 {
		t.Errorf("an empty row is %q, %v", data, err)
	}
}

func TestTxMisuse(t *testing.T) {
	tx := NewTx(table())
	tx.Drop(key("never read"))
	if err := commit(t, table(), tx); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("a row that was not read is deleted: %v", err)
	}
	tx = NewTx(table())
	tx.PutJSON(key("a"), math.Inf(1))
	if err := commit(t, table(), tx); err == nil {
		t.Error("what cannot be encoded is written")
	}
	tab := table()
	store(t, tab, "text", "no JSON")
	var v struct{}
	if err := NewTx(tab).GetJSON(t.Context(), key("text"), &v); err == nil {
		t.Error("what is no JSON is decoded")
	}
}

// TestTxWithoutWritesStillChecks holds that a Tx without writes still checks its reads.
func TestTxWithoutWritesStillChecks(t *testing.T) {
	tab := table()
	tx := NewTx(tab)
	if tx.Written() || tx.Has(key("a")) {
		t.Error("a new Tx is not empty")
	}
	if _, err := tx.Get(t.Context(), key("a")); !errors.Is(err, driver.ErrNotFound) {
		t.Fatal(err)
	}
	tx.Drop(key("a"))
	if !tx.Has(key("a")) || !tx.Written() {
		t.Error("the row is not known")
	}
	if err := commit(t, tab, tx); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
}

func TestTxReplaced(t *testing.T) {
	tab := table()
	for _, sort := range []string{"put", "deleted", "read"} {
		store(t, tab, sort, "old "+sort)
	}
	tx := NewTx(tab)
	for _, sort := range []string{"put", "deleted", "read"} {
		if _, err := tx.Get(t.Context(), key(sort)); err != nil {
			t.Fatal(err)
		}
	}
	tx.Put(key("put"), []byte("new"))
	tx.Put(key("created"), []byte("new"))
	tx.Drop(key("deleted"))
	var got []string
	for _, row := range tx.Replaced() {
		got = append(got, row.Sort+": "+string(row.Data))
	}
	if want := []string{"put: old put", "deleted: old deleted"}; !slices.Equal(got, want) {
		t.Errorf("replaced are %q, want %q", got, want)
	}
}
