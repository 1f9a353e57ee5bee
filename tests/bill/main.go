package main

import (
	"fmt"
	"os"
)

func main() {
	now, err := read("template.yaml")
	if err != nil {
		fmt.Fprintln(os.Stderr, "bill:", err)
		os.Exit(1)
	}
	fmt.Print(table(now))
}

// table returns the bills of all months as a table of Markdown, in dollars a month.
func table(now deployment) string {
	out := "| Month | before | now | readers | before, free tiers | now, free tiers |\n|---|---|---|---|---|---|\n"
	for _, m := range months {
		before, readers, beforeFree := sums(earlier.bill(m))
		after, _, afterFree := sums(now.bill(m))
		out += fmt.Sprintf("| %s | %.2f | %.2f | %.2f | %.2f | %.2f |\n", m.name, before, after, readers, beforeFree, afterFree)
	}
	out += "\n| Line of the present bill |"
	for _, m := range months {
		out += " " + m.name + " |"
	}
	out += "\n|---|---|---|---|---|\n"
	for i, l := range now.bill(months[0]) {
		out += "| " + l.name + " |"
		for _, m := range months {
			out += fmt.Sprintf(" %.3f |", now.bill(m)[i].price)
		}
		out += "\n"
	}
	return out
}
