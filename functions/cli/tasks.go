package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

func taskNumber(id int64) string { return strconv.FormatInt(id, 10) }

func (s *session) taskCommand() *cobra.Command {
	of := func(c *cobra.Command) *cobra.Command { return s.completed(c, ofTasks) }
	return group("task", "Tasks of the server, and several commands in one run",
		s.taskRun(), s.taskList(), of(s.taskShow()), of(s.taskLog()), of(s.taskWait()), of(s.taskCancel()), s.taskClear())
}

// stateName is the word for a state.
func stateName(state int) string {
	if state >= client.Idle && state <= client.Failed {
		return [...]string{"idle", "running", "succeeded", "failed"}[state]
	}
	return "unknown"
}

func idOf(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, usagef("%q is no number of a task: aptless task list", text)
	}
	return id, nil
}

// moment reads a time of the API; the zero time for "".
func moment(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (s *session) taskList() *cobra.Command {
	var state string
	c := s.leaf("list", "List the tasks", count{0, 0}, func(ctx context.Context, _ []string) error {
		call := client.ListTasks()
		if state != "" {
			n := -1
			for i := client.Idle; i <= client.Failed; i++ {
				if stateName(i) == state {
					n = i
				}
			}
			if n < 0 {
				return usagef("--state=%s: idle, running, succeeded or failed", state)
			}
			call = call.With("state", strconv.Itoa(n))
		}
		return show(ctx, s, call, func(all []client.Task) error {
			var rows [][]cell
			for _, t := range all {
				rows = append(rows, []cell{word(taskNumber(t.ID)), word(stateName(t.State)), s.printer.at(moment(t.Created)), word(t.Name), word(t.Error)})
			}
			return s.printer.table([]string{"task", "state", "created", "name", "error"}, rows)
		})
	})
	c.Flags().StringVar(&state, "state", "", "only tasks in this state: idle, running, succeeded or failed")
	return c
}

func (s *session) taskShow() *cobra.Command {
	return s.leaf("show TASK", "Show a task", one(), func(ctx context.Context, args []string) error {
		id, err := idOf(args[0])
		if err != nil {
			return err
		}
		return show(ctx, s, client.ShowTask(id), func(t client.Task) error {
			return s.printer.fields([]field{{"Task", word(taskNumber(t.ID))}, {"Name", word(t.Name)}, {"Kind", word(t.Kind)}, {"State", word(stateName(t.State))},
				{"Created", s.printer.at(moment(t.Created))}, {"Started", s.printer.at(moment(t.Started))}, {"Finished", s.printer.at(moment(t.Finished))},
				{"Resources", words(t.Resources)}, {"Warnings", words(t.Warnings)}, {"Error", word(t.Error)}})
		})
	})
}

func (s *session) taskLog() *cobra.Command {
	var follow bool
	c := s.leaf("log TASK", "Print the output of a task", one(), func(ctx context.Context, args []string) error {
		id, err := idOf(args[0])
		if err != nil {
			return err
		}
		c, err := s.connect()
		if err != nil {
			return err
		}
		if !follow {
			out, err := c.Output(ctx, id, 0)
			if err == nil {
				err = s.printer.lines(strings.Split(strings.TrimRight(out, "\n"), "\n"))
			}
			return err
		}
		c.Watch = func(p client.Progress) {
			for line := range strings.Lines(p.Output) {
				fmt.Fprintln(s.env.Out, clean(strings.TrimRight(line, "\n")))
			}
		}
		_, err = c.Wait(ctx, id)
		return err
	})
	c.Flags().BoolVarP(&follow, "follow", "f", false, "until the task has ended")
	return c
}

func (s *session) taskWait() *cobra.Command {
	return s.leaf("wait TASK...", "Wait until tasks have ended; fail if one has failed", count{1, -1}, func(ctx context.Context, args []string) error {
		c, err := s.connect()
		if err != nil {
			return err
		}
		var failed error
		for _, arg := range args {
			id, err := idOf(arg)
			if err != nil {
				return err
			}
			t, err := c.Wait(ctx, id)
			s.reporter.close()
			if err != nil {
				return err
			}
			s.say("task %d %s", id, stateName(t.State))
			if t.State == client.Failed && failed == nil {
				failed = &client.Refusal{Status: 500, Text: t.Error, Task: id}
			}
		}
		return failed
	})
}

func (s *session) taskCancel() *cobra.Command {
	return s.leaf("cancel TASK", "Stop a task that has not committed its changes", one(), func(ctx context.Context, args []string) error {
		id, err := idOf(args[0])
		if err != nil {
			return err
		}
		return change(ctx, s, client.CancelTask(id), "task %d is cancelled", id)
	})
}

func (s *session) taskClear() *cobra.Command {
	return s.leaf("clear", "Remove the records of ended tasks", count{0, 0}, func(ctx context.Context, _ []string) error {
		return change(ctx, s, client.ClearTasks(), "the records of ended tasks are removed")
	})
}

// taskRun runs commands in order and stops at the first that fails.
func (s *session) taskRun() *cobra.Command {
	var filename string
	c := s.leaf("run COMMAND, ... | --filename=FILE", "Run several commands in order", count{0, -1}, func(ctx context.Context, args []string) error {
		lines, err := commandLines(filename, args)
		if err != nil {
			return s.within(err)
		}
		for i, line := range lines {
			s.say("\n%d) [Running]: %s", i+1, strings.Join(line, " "))
			err := s.run(ctx, line)
			if err == nil {
				continue
			}
			for j := i + 1; j < len(lines); j++ {
				s.say("%d) [Skipped]: %s", j+1, strings.Join(lines[j], " "))
			}
			return fmt.Errorf("%s: %w", strings.Join(line, " "), s.within(err))
		}
		return nil
	})
	c.Flags().StringVar(&filename, "filename", "", "file with a command in each line")
	c.Flags().SetInterspersed(false)
	return c
}

// within returns the error of a command of "task run". Under the name aptly a wrong use of
// it is a failure.
func (s *session) within(err error) error {
	var wrong *usage
	if s.alias && errors.As(err, &wrong) {
		return errors.New(wrong.text)
	}
	return err
}

// commandLines reads the commands of a file, or of arguments with commas between them.
func commandLines(filename string, args []string) ([][]string, error) {
	var lines [][]string
	if filename != "" {
		if len(args) > 0 {
			return nil, usagef("commands are given, and a file of commands")
		}
		f, err := os.Open(filename)
		if err != nil {
			return nil, usagef("%v", err)
		}
		defer f.Close()
		for in := bufio.NewScanner(f); in.Scan(); {
			if words := shellWords(in.Text()); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
				lines = append(lines, words)
			}
		}
	}
	var open []string
	for _, arg := range args {
		word, ends := strings.CutSuffix(arg, ",")
		if word != "" {
			open = append(open, word)
		}
		if ends && len(open) > 0 {
			lines, open = append(lines, open), nil
		}
	}
	if len(open) > 0 {
		lines = append(lines, open)
	}
	if len(lines) == 0 {
		return nil, usagef("there are no commands")
	}
	return lines, nil
}

// shellWords splits a line at spaces. Quotes keep spaces.
func shellWords(line string) []string {
	var words []string
	var b strings.Builder
	quote, begun := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, begun = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if begun {
				words = append(words, b.String())
				b.Reset()
			}
			begun = false
		default:
			b.WriteRune(r)
			begun = true
		}
	}
	if begun {
		words = append(words, b.String())
	}
	return words
}
