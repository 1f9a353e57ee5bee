#!/usr/bin/env bash
# Runs every fuzz target of the module, parsers of foreign input first. It goes on after a failure,
# and ends with 1 if any target failed. Its last lines are the numbers of inputs of all targets.
#
# usage: tests/fuzz.sh TIME WORKERS LANES [REGEXP]
#   TIME      of each target, such as 20s or 10m
#   WORKERS   of each target
#   LANES     targets that run at the same time
#   REGEXP    of the targets' lines FILE:TARGET; all without it
set -u
export time=$1 workers=$2 lanes=$3 pattern=${4:-.}
export tmp=$(mktemp -d) corpus=$(go env GOCACHE)/fuzz/$(go list -m)
trap 'rm -rf "$tmp"' EXIT

# targets prints FILE:TARGET lines. The folders have the order in which their targets run.
targets() {
	grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' core/formats core/archive/upstream core/front core/archive \
		infra functions core tests | sed 's/func //' | awk '!seen[$0]++' | grep -E -- "$pattern"
}

# run fuzzes the target of a FILE:TARGET line with the program of its package, and prints its result.
run() {
	package=$(dirname "${1%:*}") target=${1#*:}
	program=$tmp/${package//\//_} log=$tmp/${package//\//_}.$target result=ok
	# An input with new coverage is made smaller before the next ones run, for a minute by default.
	# Decoders from a sync.Pool make coverage differ from run to run, so that minute finds nothing.
	(cd "$package" && "$program" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$time" -test.fuzzminimizetime 100x \
		-test.parallel "$workers" -test.fuzzcachedir "$corpus/$package") >"$log" 2>&1 || result=FAILED
	inputs=$(sed -n 's/.*execs: \([0-9]*\).*/\1/p' "$log" | tail -1)
	printf '%-6s %12s inputs  %s %s\n' "$result" "${inputs:-0}" "./$package" "$target" | tee -a "$tmp/results"
	[ "$result" = ok ] || cat "$log"
}
export -f run

# A program that does not compile is missing, so its targets fail.
targets | xargs -n 1 dirname | uniq | while read -r package; do
	go test -c -fuzz . -o "$tmp/${package//\//_}" "./$package"
done
targets | xargs -P "$lanes" -I{} bash -c 'run {}'
echo
sort -k 4,5 "$tmp/results"
awk '{ sum += $2 } END { print NR " targets, " sum + 0 " inputs" }' "$tmp/results"
! grep -q '^FAILED' "$tmp/results"
