package drivertest

import (
	"context"
	"testing"
	"time"

	"aptless/core/driver"
)

func TestMemoryConforms(t *testing.T) {
	Run(t, func(*testing.T) Set {
		m := NewMemory(time.Now)
		return Set{
			Blobs: m.Blobs,
			Table: m.Table,
			Queue: m.Queue,
			Serve: func(ctx context.Context, h driver.Handler) { m.Queue.Serve(ctx, h, 8) },
		}
	})
}
