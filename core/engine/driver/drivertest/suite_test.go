package drivertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

// wrong is a driver with one fault, and the test of the suite that must detect it.
type wrong struct {
	name, test string
	spoil      func(s *Set, m *Memory)
}

func wrongPuts() []wrong {
	put := func(change func(b driver.Blobs, ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error)) func(*Set, *Memory) {
		return func(s *Set, m *Memory) {
			s.Blobs = blobsWith{Blobs: m.Blobs, put: func(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
				return change(m.Blobs, ctx, key, r, opt)
			}}
		}
	}
	return []wrong{
		{"checks, then puts", "RaceIfAbsent", put(func(b driver.Blobs, ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
			if _, err := b.Stat(ctx, key); err == nil && opt.IfAbsent {
				return driver.Info{}, driver.ErrExists
			}
			time.Sleep(time.Millisecond)
			opt.IfAbsent = false
			return b.Put(ctx, key, r, opt)
		})},
		{"ignores IfMatch", "RaceIfMatch", put(func(b driver.Blobs, ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
			opt.IfMatch = ""
			return b.Put(ctx, key, r, opt)
		})},
		{"loses updates", "CountByIfMatch", put(func(b driver.Blobs, ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
			if info, err := b.Stat(ctx, key); err == nil && opt.IfMatch != "" && opt.IfMatch != info.ETag {
				return driver.Info{}, driver.ErrConflict
			}
			time.Sleep(time.Millisecond)
			opt.IfMatch = ""
			return b.Put(ctx, key, r, opt)
		})},
		{"says exists for changed", "Conditions", put(func(b driver.Blobs, ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
			info, err := b.Put(ctx, key, r, opt)
			if errors.Is(err, driver.ErrConflict) {
				err = driver.ErrExists
			}
			return info, err
		})},
		{"checks no digest", "Announced", put(func(b driver.Blobs, ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
			opt.SHA256 = ""
			return b.Put(ctx, key, r, opt)
		})},
		{"checks no size", "Announced", put(func(b driver.Blobs, ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
			opt.Size = 0
			return b.Put(ctx, key, r, opt)
		})},
		{"keeps what came before an error", "FailingReader", put(func(b driver.Blobs, ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
			data, err := io.ReadAll(r)
			info, putErr := b.Put(ctx, key, bytes.NewReader(data), opt)
			return info, errors.Join(err, putErr)
		})},
		{"unquotes keys", "OddKeys", put(func(b driver.Blobs, ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
			if plain, err := url.QueryUnescape(key); err == nil {
				key = plain
			}
			return b.Put(ctx, key, r, opt)
		})},
		{"cleans keys", "RefusedKeys", put(func(b driver.Blobs, ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
			return b.Put(ctx, strings.TrimPrefix(key, "/"), r, opt)
		})},
		{"cuts large objects", "Large", put(func(b driver.Blobs, ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
			opt.Size, opt.SHA256 = 0, ""
			return b.Put(ctx, key, io.LimitReader(r, 16<<20), opt)
		})},
	}
}

func wrongBlobs() []wrong {
	return []wrong{
		{"copies whatever the condition", "CopyConditions", func(s *Set, m *Memory) {
			s.Blobs = blobsWith{Blobs: m.Blobs, copy: func(ctx context.Context, dst, src string, _ driver.PutOptions) (driver.Info, error) {
				return m.Blobs.Copy(ctx, dst, src, driver.PutOptions{})
			}}
		}},
		{"ignores the end of ranges", "Ranges", func(s *Set, m *Memory) {
			s.Blobs = blobsWith{Blobs: m.Blobs, open: func(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
				if rng != nil {
					rng = &driver.Range{Offset: rng.Offset, Length: -1}
				}
				return m.Blobs.Open(ctx, key, rng)
			}}
		}},
		{"describes what is no longer there", "ReplaceWhileRead", func(s *Set, m *Memory) {
			s.Blobs = blobsWith{Blobs: m.Blobs, open: func(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
				info, err := m.Blobs.Stat(ctx, key)
				if err != nil {
					return nil, info, err
				}
				time.Sleep(time.Millisecond)
				r, _, err := m.Blobs.Open(ctx, key, rng)
				return r, info, err
			}}
		}},
		{"lists one page", "ListPages", listing(func(all []driver.Info) []driver.Info { return all[:min(len(all), 1000)] })},
		{"lists folder by folder", "ListOrder", listing(func(all []driver.Info) []driver.Info {
			for i := 1; i < len(all); i++ { // "/" sorts first: the order of a folder walk
				for j := i; j > 0 && strings.ReplaceAll(all[j].Key, "/", "\x00") < strings.ReplaceAll(all[j-1].Key, "/", "\x00"); j-- {
					all[j], all[j-1] = all[j-1], all[j]
				}
			}
			return all
		})},
		{"lists whole folders", "List", func(s *Set, m *Memory) {
			s.Blobs = blobsWith{Blobs: m.Blobs, list: func(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
				return m.Blobs.List(ctx, prefix[:strings.LastIndex(prefix, "/")+1], after)
			}}
		}},
		{"deletes what is below", "Delete", func(s *Set, m *Memory) {
			s.Blobs = blobsWith{Blobs: m.Blobs, delete: func(ctx context.Context, keys ...string) error {
				for _, key := range keys {
					for info := range m.Blobs.List(ctx, key, "") {
						if err := m.Blobs.Delete(ctx, info.Key); err != nil {
							return err
						}
					}
				}
				return nil
			}}
		}},
		{"says not found when deleting", "Delete", func(s *Set, m *Memory) {
			s.Blobs = blobsWith{Blobs: m.Blobs, delete: func(ctx context.Context, keys ...string) error {
				for _, key := range keys {
					if _, err := m.Blobs.Stat(ctx, key); err != nil {
						return err
					}
				}
				return m.Blobs.Delete(ctx, keys...)
			}}
		}},
	}
}

func wrongWrites() []wrong {
	return []wrong{
		{"writes one operation at a time", "WriteAllOrNone", func(s *Set, m *Memory) {
			s.Table = tableWith{Table: m.Table, write: func(ctx context.Context, ops ...driver.Op) (version string, err error) {
				for _, op := range ops {
					if version, err = m.Table.Write(ctx, op); err != nil {
						return "", err
					}
				}
				return version, nil
			}}
		}},
		{"names no keys", "WriteConditions", func(s *Set, m *Memory) {
			s.Table = tableWith{Table: m.Table, write: func(ctx context.Context, ops ...driver.Op) (string, error) {
				version, err := m.Table.Write(ctx, ops...)
				if errors.Is(err, driver.ErrConflict) {
					err = driver.ErrConflict
				}
				return version, err
			}}
		}},
		{"names all keys", "WriteConditions", func(s *Set, m *Memory) {
			s.Table = tableWith{Table: m.Table, write: func(ctx context.Context, ops ...driver.Op) (string, error) {
				version, err := m.Table.Write(ctx, ops...)
				if errors.Is(err, driver.ErrConflict) {
					conflict := &driver.ConflictError{}
					for _, op := range ops {
						conflict.Keys = append(conflict.Keys, op.Key)
					}
					err = conflict
				}
				return version, err
			}}
		}},
		{"checks no limits", "WriteLimits", func(s *Set, m *Memory) {
			s.Table = tableWith{Table: m.Table, write: func(ctx context.Context, ops ...driver.Op) (string, error) {
				return m.Table.Write(ctx, ops[:min(len(ops), driver.MaxOps)]...)
			}}
		}},
		{"begins versions anew", "Versions", func(s *Set, m *Memory) {
			s.Table = tableWith{Table: m.Table, write: func(ctx context.Context, ops ...driver.Op) (string, error) {
				version, err := m.Table.Write(ctx, ops...)
				if err == nil && ops[0].Do == driver.OpDelete {
					m.mu.Lock()
					m.version = 0
					m.mu.Unlock()
				}
				return version, err
			}}
		}},
		{"checks, then writes", "RaceVersion", func(s *Set, m *Memory) {
			s.Table = tableWith{Table: m.Table, write: func(ctx context.Context, ops ...driver.Op) (string, error) {
				for _, op := range ops {
					if row, _ := m.Table.Get(ctx, op.Key); row.Version != op.If {
						return "", &driver.ConflictError{Keys: []driver.Key{op.Key}}
					}
				}
				time.Sleep(time.Millisecond)
				for _, op := range ops {
					if err := m.Table.Put(ctx, driver.Row{Key: op.Key, Data: op.Data}); err != nil {
						return "", err
					}
				}
				return "v", nil
			}}
		}},
	}
}

func wrongTables() []wrong {
	return []wrong{
		{"reads what is past", "Linearizable", func(s *Set, m *Memory) {
			var mu sync.Mutex
			past := map[driver.Key]driver.Row{}
			s.Table = tableWith{Table: m.Table, get: func(ctx context.Context, key driver.Key) (driver.Row, error) {
				now, err := m.Table.Get(ctx, key)
				mu.Lock()
				defer mu.Unlock()
				old, ok := past[key]
				past[key] = now
				if ok && old.Version != "" {
					return old, nil
				}
				return now, err
			}}
		}},
		{"shows half a write", "Linearizable", func(s *Set, m *Memory) {
			s.Table = tableWith{Table: m.Table, write: func(ctx context.Context, ops ...driver.Op) (string, error) {
				for _, op := range ops[1:] {
					if _, err := m.Table.Write(ctx, driver.Op{Do: driver.OpCheck, Key: op.Key, If: op.If}); err != nil {
						return "", err
					}
				}
				time.Sleep(time.Millisecond) // by now the other conditions may have become false
				version, err := m.Table.Write(ctx, ops[0])
				if err != nil {
					return "", err
				}
				for _, op := range ops[1:] {
					row, _ := m.Table.Get(ctx, op.Key)
					op.If = row.Version
					if op.Do != driver.OpDelete || op.If != "" {
						_, _ = m.Table.Write(ctx, op)
					}
				}
				return version, nil
			}}
		}},
	}
}

func wrongScans() []wrong {
	return []wrong{
		{"scans one page", "ScanPages", scanning(func(rows []driver.Row) []driver.Row { return rows[:min(len(rows), 12)] })},
		{"scans in another order", "ScanOrder", scanning(func(rows []driver.Row) []driver.Row {
			for i := 1; i < len(rows); i++ { // UTF-16 order
				for j := i; j > 0 && rows[j-1].Sort >= "\ue000" && rows[j-1].Sort < "\U00010000" && rows[j].Sort >= "\U00010000"; j-- {
					rows[j], rows[j-1] = rows[j-1], rows[j]
				}
			}
			return rows
		})},
		{"scans the neighbours", "Scan", func(s *Set, m *Memory) {
			s.Table = tableWith{Table: m.Table, scan: func(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
				return func(yield func(driver.Row, error) bool) {
					for _, p := range []string{part, part + "/x"} {
						for row, err := range m.Table.Scan(ctx, p, after) {
							if !yield(row, err) {
								return
							}
						}
					}
				}
			}}
		}},
		{"puts one batch", "PutRows", func(s *Set, m *Memory) {
			s.Table = tableWith{Table: m.Table, put: func(ctx context.Context, rows ...driver.Row) error {
				return m.Table.Put(ctx, rows[:min(len(rows), 25)]...)
			}}
		}},
		{"reads, then adds", "AddConcurrently", func(s *Set, m *Memory) {
			s.Table = tableWith{Table: m.Table, add: func(ctx context.Context, key driver.Key, delta int64) (int64, error) {
				n, err := m.Table.Add(ctx, key, 0)
				if err != nil {
					return 0, err
				}
				time.Sleep(time.Millisecond)
				now, err := m.Table.Add(ctx, key, 0)
				if err != nil {
					return 0, err
				}
				return m.Table.Add(ctx, key, n+delta-now)
			}}
		}},
		{"counts in rows", "Add", func(s *Set, m *Memory) {
			s.Table = tableWith{Table: m.Table, add: func(ctx context.Context, key driver.Key, delta int64) (int64, error) {
				n, err := m.Table.Add(ctx, key, delta)
				if err != nil {
					return 0, err
				}
				return n, m.Table.Put(ctx, driver.Row{Key: key, Data: []byte(strconv.FormatInt(n, 10))})
			}}
		}},
	}
}

func wrongServers() []wrong {
	// serving passes every delivery to change, which calls the handler.
	serving := func(change func(m *Memory, h driver.Handler, ctx context.Context, msg driver.Message) (driver.Outcome, error)) func(*Set, *Memory) {
		return func(s *Set, m *Memory) {
			s.Serve = func(ctx context.Context, h driver.Handler) {
				m.Queue.Serve(ctx, func(ctx context.Context, msg driver.Message) (driver.Outcome, error) {
					return change(m, h, ctx, msg)
				}, 8)
			}
		}
	}
	return []wrong{
		{"knows no groups", "OneAtATime", func(s *Set, m *Memory) {
			s.Queue = queueWith{Queue: m.Queue, send: func(ctx context.Context, msg driver.Message) error {
				msg.Group, msg.Body = unique(), msg.Group+" "+msg.Body
				return m.Queue.Send(ctx, msg)
			}}
			serving(func(_ *Memory, h driver.Handler, ctx context.Context, msg driver.Message) (driver.Outcome, error) {
				msg.Group, msg.Body, _ = strings.Cut(msg.Body, " ")
				return h(ctx, msg)
			})(s, m)
		}},
		{"has one worker", "GroupsTogether", func(s *Set, m *Memory) {
			s.Serve = func(ctx context.Context, h driver.Handler) { m.Queue.Serve(ctx, h, 1) }
		}},
		{"forgets what failed", "Error", serving(func(_ *Memory, h driver.Handler, ctx context.Context, msg driver.Message) (driver.Outcome, error) {
			_, _ = h(ctx, msg)
			return driver.Outcome{}, nil
		})},
		{"puts what failed at the end", "Error", serving(func(m *Memory, h driver.Handler, ctx context.Context, msg driver.Message) (driver.Outcome, error) {
			out, err := h(ctx, msg)
			if err != nil {
				msg.ID += "+"
				return driver.Outcome{}, m.Queue.Send(ctx, msg)
			}
			return out, nil
		})},
		{"takes a panic for success", "Panic", serving(func(_ *Memory, h driver.Handler, ctx context.Context, msg driver.Message) (out driver.Outcome, err error) {
			defer func() { _ = recover() }()
			return h(ctx, msg)
		})},
		{"retries at once", "Retry", serving(func(_ *Memory, h driver.Handler, ctx context.Context, msg driver.Message) (driver.Outcome, error) {
			out, err := h(ctx, msg)
			out.Retry = min(out.Retry, time.Millisecond)
			return out, err
		})},
	}
}

func wrongQueues() []wrong {
	return []wrong{
		{"does not wake", "Wake", func(s *Set, m *Memory) {
			s.Queue = queueWith{Queue: m.Queue, wake: func(context.Context, driver.Message) error { return nil }}
		}},
		{"wakes with any receipt", "WakeInVain", func(s *Set, m *Memory) {
			s.Queue = queueWith{Queue: m.Queue, wake: func(ctx context.Context, msg driver.Message) error {
				for _, pending := range m.Queue.Pending() {
					if pending.Group == msg.Group {
						msg.Receipt = pending.Receipt
						return m.Queue.Wake(ctx, msg)
					}
				}
				return nil
			}}
		}},
		{"shuffles", "OrderInGroup", func(s *Set, m *Memory) {
			var held *driver.Message // the first of a group, until the next arrives
			s.Queue = queueWith{Queue: m.Queue, send: func(ctx context.Context, msg driver.Message) error {
				if held == nil {
					held = &msg
					return nil
				}
				err := m.Queue.Send(ctx, msg)
				if msg.Group == held.Group {
					err = errors.Join(err, m.Queue.Send(ctx, *held))
				}
				return err
			}}
		}},
		{"sends anything", "Refused", func(s *Set, m *Memory) {
			s.Queue = queueWith{Queue: m.Queue, send: func(ctx context.Context, msg driver.Message) error {
				msg.Body = msg.Body[:min(len(msg.Body), driver.MaxBody)]
				return m.Queue.Send(ctx, msg)
			}}
		}},
		{"stops at once", "Stop", func(s *Set, m *Memory) {
			s.Serve = func(ctx context.Context, h driver.Handler) {
				go m.Queue.Serve(ctx, h, 8)
				<-ctx.Done()
			}
		}},
	}
}

const wrongEnv = "DRIVERTEST_WRONG" // passes the name of the driver to the other process

// TestWrong runs each faulty driver against the test of the suite that must detect
// it. That test runs, and fails, in another process; TestWrong is its entry point.
func TestWrong(t *testing.T) {
	parts := map[string][]wrong{
		"Blobs": slices.Concat(wrongPuts(), wrongBlobs()),
		"Table": slices.Concat(wrongWrites(), wrongTables(), wrongScans()),
		"Queue": slices.Concat(wrongServers(), wrongQueues()),
	}
	for part, list := range parts {
		for _, w := range list {
			if w.name == os.Getenv(wrongEnv) {
				Run(t, func(*testing.T) Set {
					m := NewMemory(time.Now)
					s := memorySet(m)
					s.Patience = time.Second
					w.spoil(&s, m)
					return s
				})
				return
			}
			if os.Getenv(wrongEnv) == "" && !testing.Short() {
				t.Run(part+"/"+w.name, func(t *testing.T) { seen(t, part, w) })
			}
		}
	}
}

// seen fails the test unless the suite detects the fault.
func seen(t *testing.T, part string, w wrong) {
	t.Parallel()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^TestWrong$/^"+part+"$/^"+w.test+"$", "-test.timeout", "1m")
	cmd.Env = append(os.Environ(), wrongEnv+"="+w.name)
	out, err := cmd.CombinedOutput()
	if failed := "--- FAIL: TestWrong/" + part + "/" + w.test; err == nil || !strings.Contains(string(out), failed) {
		t.Errorf("the suite does not see a driver that %s: %v\n%s", w.name, err, out)
	}
	if strings.Contains(string(out), "panic: ") {
		t.Errorf("the suite panics:\n%s", out)
	}
}
