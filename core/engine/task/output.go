package task

import (
	"fmt"
	"strings"
)

// Bounds of the output of a task, in bytes.
const (
	maxUnsaved = 1 << 20 // in memory between two writes
	maxOutput  = 8 << 20 // total
)

// output collects text since the last Save. Text beyond maxUnsaved is dropped and
// counted.
type output struct {
	text strings.Builder
	cut  int // dropped bytes
}

func (o *output) add(s string) {
	if o.cut > 0 || o.text.Len()+len(s) > maxUnsaved {
		o.cut += len(s)
		return
	}
	o.text.WriteString(s)
}

// String returns the output, with a mark for dropped text.
func (o *output) String() string {
	if o.cut == 0 {
		return o.text.String()
	}
	return o.text.String() + fmt.Sprintf("[… %d bytes of output are cut]\n", o.cut)
}

// reset removes the first n bytes of String's text, or all of it if n is 0.
func (o *output) reset(n int) {
	rest := ""
	if text := o.text.String(); n > 0 && n < len(text) {
		rest = text[n:]
	}
	o.text.Reset()
	o.text.WriteString(rest)
	o.cut = 0
}

// ending is the last line of a task's output.
func ending(t Task) string {
	switch t.State {
	case Succeeded:
		return "Task succeeded"
	case Failed:
		return "Task failed with error: " + t.Error
	}
	return ""
}
