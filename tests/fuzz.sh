#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other. It goes on after a failure, and
# ends with 1 if any target failed. Its last lines are the numbers of inputs of all targets.
#
# usage: tests/fuzz.sh TIME PARALLEL [REGEXP]
#   TIME      of each target, such as 20s or 10m
#   PARALLEL  workers of each target
#   REGEXP    of the targets' names; all without it
set -u
time=$1 parallel=$2 pattern=${3:-.}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0 sum=0 targets=0 table=
while IFS=: read -r file target; do
	package=./$(dirname "$file")
	# An input with new coverage is made smaller before the next ones run, for a minute by default.
	# Decoders from a sync.Pool make coverage differ from run to run, so that minute finds nothing.
	if go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x -parallel "$parallel" "$package" >"$log" 2>&1; then
		result=ok
	else
		result=FAILED failed=1
	fi
	inputs=$(sed -n 's/.*execs: \([0-9]*\).*/\1/p' "$log" | tail -1)
	sum=$((sum + ${inputs:-0}))
	targets=$((targets + 1))
	line=$(printf '%-6s %12s inputs  %s %s' "$result" "${inputs:-0}" "$package" "$target")
	table+=$line$'\n'
	echo "$line"
	[ "$result" = ok ] || cat "$log"
done < <(grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' core infra functions tests | sed 's/func //' | sort | grep -E -- "$pattern")
printf '\n%s%s targets, %s inputs\n' "$table" "$targets" "$sum"
exit "$failed"
