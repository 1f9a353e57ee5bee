#!/bin/sh
# Delivers packages to an aptless server from a job of GitHub or GitLab. No secret is
# stored: the job's ID token is exchanged for a token that is good for some minutes, and
# that ends with the job.
#
#   APTLESS_URL      address of the server
#   APTLESS_REPO     repository
#   APTLESS_FILES    packages, as patterns separated by blanks: build/*.deb build/*.dsc
#   APTLESS_PUBLISH  publication that is updated, prefix/distribution; may be empty
#   APTLESS_POLICY   trust policy, if more than one matches; may be empty
#   APTLESS_ID_TOKEN ID token of GitLab (id_tokens); GitHub gives the job an address for it
set -eu
umask 077
api=${APTLESS_URL%/}/api
work=$(mktemp -d)

fail() {
  echo "aptless: $*" >&2
  exit 1
}

# field prints the first text of a name in a JSON document.
field() {
  sed -n 's/.*"'"$1"'" *: *"\([^"]*\)".*/\1/p' | head -n 1
}

finish() {
  code=$?
  trap - EXIT
  if [ -s "$work/token" ]; then
    curl -sS -o "$work/ended" -X DELETE -H "@$work/token" "$api/auth/tokens/self" || echo "aptless: the token ends by itself" >&2
  fi
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# send sends a request, writes the answer to a file, and prints the status.
send() {
  curl -sS -o "$work/answer" -w '%{http_code}' "$@"
}

refused() {
  fail "$1: $(cat "$work/answer")"
}

# id_token prints the ID token of the job.
id_token() {
  if [ -n "${APTLESS_ID_TOKEN:-}" ]; then
    printf '%s' "$APTLESS_ID_TOKEN"
    return
  fi
  [ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ] || fail "the job has no ID token: GitHub needs \"permissions: id-token: write\", GitLab the variable APTLESS_ID_TOKEN by id_tokens"
  audience=$(curl -sS --fail "$api/auth/oidc/audience" | field audience)
  printf 'Authorization: Bearer %s\n' "$ACTIONS_ID_TOKEN_REQUEST_TOKEN" >"$work/ask"
  curl -sS --fail -G -H "@$work/ask" --data-urlencode "audience=$audience" "$ACTIONS_ID_TOKEN_REQUEST_URL" | field value
}

jwt=$(id_token)
[ -n "$jwt" ] || fail "the ID token of the job cannot be had"
printf '{"token":"%s"%s}' "$jwt" "${APTLESS_POLICY:+,\"policy\":\"$APTLESS_POLICY\"}" >"$work/exchange"
status=$(send -H 'Content-Type: application/json' --data-binary "@$work/exchange" "$api/auth/oidc/token")
[ "$status" = 201 ] || refused "the ID token is refused ($status)"
token=$(field Token <"$work/answer")
rm -f "$work/answer" "$work/exchange"
if [ -n "${GITHUB_ACTIONS:-}" ]; then
  echo "::add-mask::$token"
fi
printf 'Authorization: Bearer %s\n' "$token" >"$work/token"

set --
for file in $APTLESS_FILES; do
  [ -f "$file" ] || fail "there is no file $file"
  set -- "$@" -F "file=@\"$file\""
done
[ $# -gt 0 ] || fail "APTLESS_FILES names no file"
query=
if [ -n "${APTLESS_PUBLISH:-}" ]; then
  query="?publish=$(printf '%s' "$APTLESS_PUBLISH" | sed 's/%/%25/g; s/+/%2B/g; s/&/%26/g; s/#/%23/g; s/ /%20/g')"
fi
status=$(send -H "@$work/token" "$@" "$api/upload/$APTLESS_REPO$query")
if [ "$status" = 202 ]; then # the server answers before the work is done
  id=$(sed -n 's/.*"ID" *: *\([0-9]*\).*/\1/p' "$work/answer")
  state=0
  while [ "$state" -lt 2 ]; do
    status=$(send -H "@$work/token" "$api/tasks/$id/wait")
    [ "$status" = 200 ] || refused "task $id ($status)"
    state=$(sed -n 's/.*"State" *: *\([0-9]*\).*/\1/p' "$work/answer")
  done
  status=200
  if [ "$state" != 2 ]; then
    send -H "@$work/token" "$api/tasks/$id/output" >"$work/status"
    status=failed
  fi
fi
case $status in
200 | 201) echo "aptless: delivered to $APTLESS_REPO${APTLESS_PUBLISH:+ and published as $APTLESS_PUBLISH}" ;;
*) refused "the delivery failed ($status)" ;;
esac
