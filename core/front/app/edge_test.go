package app_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"maps"
	"sync"
)

// memoryEdge is a driver.Edge in memory.
type memoryEdge struct {
	mu     sync.Mutex
	values map[string]string
	down   bool
}

func newEdge() *memoryEdge { return &memoryEdge{values: map[string]string{}} }

func (e *memoryEdge) Update(_ context.Context, put map[string]string, remove []string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down {
		return errors.New("the edge does not answer")
	}
	maps.Copy(e.values, put)
	for _, key := range remove {
		delete(e.values, key)
	}
	return nil
}

func (e *memoryEdge) Keys(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key := range e.values {
			if !yield(key, nil) {
				return
			}
		}
	}
}

func (e *memoryEdge) get(key string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.values[key]
}

func (e *memoryEdge) size() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.values)
}

func (e *memoryEdge) fails(down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = down
}

// shaOf returns the SHA-256 of data in hexadecimal digits.
func shaOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
