package main

import (
	"encoding/json"
	"log/slog"
	"time"

	"aptless/core/front/audit"
)

// logger returns the log of the process: lines for people, or JSON with all details.
func logger(opt settings) *slog.Logger {
	level := slog.LevelInfo
	if opt.verbose {
		level = slog.LevelDebug
	}
	if opt.json {
		return slog.New(slog.NewJSONHandler(opt.err, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(slog.NewTextHandler(opt.err, &slog.HandlerOptions{Level: level, ReplaceAttr: plain}))
}

// plain shortens the values of a line for people. Durations are rounded to milliseconds. The
// storage requests of a task become their sum. An audit record becomes fields, without its
// hashes. `aptless audit` prints whole records.
func plain(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case time.Duration:
		if v > 10*time.Millisecond {
			return slog.Duration(a.Key, v.Round(time.Millisecond))
		}
	case map[string]int64:
		sum := int64(0)
		for _, n := range v {
			sum += n
		}
		return slog.Int64(a.Key, sum)
	case json.RawMessage:
		var r audit.Record
		if a.Key == "record" && json.Unmarshal(v, &r) == nil {
			return slog.Attr{Value: slog.GroupValue(recordAttrs(r)...)} // without a key its fields are the line's
		}
	}
	return a
}

// recordAttrs returns the fields of an audit record for a line. Empty ones are left out.
func recordAttrs(r audit.Record) []slog.Attr {
	by := r.By.Kind
	if r.By.Name != "" {
		by += " " + r.By.Name
	}
	attrs := []slog.Attr{slog.String("id", r.ID), slog.String("event", r.Event), slog.String("by", by)}
	for _, text := range [][2]string{{"method", r.Method}, {"path", r.Path}, {"of", r.Of}, {"error", r.Error}} {
		if text[1] != "" {
			attrs = append(attrs, slog.String(text[0], text[1]))
		}
	}
	if len(r.Needs) > 0 {
		attrs = append(attrs, slog.Any("needs", r.Needs))
	}
	for _, number := range []struct {
		name  string
		value int64
	}{{"task", r.Task}, {"status", int64(r.Status)}, {"count", int64(r.Count)}} {
		if number.value != 0 {
			attrs = append(attrs, slog.Int64(number.name, number.value))
		}
	}
	return attrs
}
