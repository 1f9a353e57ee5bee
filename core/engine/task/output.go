package task

import (
	"fmt"
	"strings"
)

// Bounds of the output of a task, in bytes.
const (
	maxUnsaved = 1 << 20 // held in memory between two writes
	maxOutput  = 8 << 20 // in all
)

// output is what an attempt has printed since its last Save. What exceeds
// maxUnsaved is cut and counted.
type output struct {
	text strings.Builder
	cut  int // bytes that were printed and not kept
}

func (o *output) add(s string) {
	if o.cut > 0 || o.text.Len()+len(s) > maxUnsaved {
		o.cut += len(s)
		return
	}
	o.text.WriteString(s)
}

// String returns the output with a mark of what was cut.
func (o *output) String() string {
	if o.cut == 0 {
		return o.text.String()
	}
	return o.text.String() + fmt.Sprintf("[… %d bytes of output are cut]\n", o.cut)
}

// reset forgets the first n bytes of text that String has returned, or all of
// it if n is 0.
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
