#!/bin/sh
# Pushes packages to an aptless server from a job of GitHub or GitLab, and publishes them. No
# secret is stored: `aptless push` exchanges the ID token of the job for a token that lasts
# some minutes, and ends that token.
#
#   APTLESS_URL       address of the server
#   APTLESS_REPO      repository
#   APTLESS_FILES     packages and folders, as patterns separated by blanks: build/*.deb
#   APTLESS_PUBLISH   publications to update, DISTRIBUTION or DISTRIBUTION@PREFIX, separated by blanks; may be empty
#   APTLESS_POLICY    trust policy, if more than one matches; may be empty
#   APTLESS_DOWNLOAD  address of the program aptless, if the job has none
#   APTLESS_SHA256    digest of that program
#   APTLESS_ID_TOKEN  ID token of GitLab (id_tokens); GitHub gives the job an address for it
set -eu
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

program=aptless
if ! command -v aptless >/dev/null; then
  [ -n "${APTLESS_DOWNLOAD:-}" ] && [ -n "${APTLESS_SHA256:-}" ] || {
    echo "aptless: the job has no program aptless: name its address and its SHA-256 by APTLESS_DOWNLOAD and APTLESS_SHA256" >&2
    exit 1
  }
  program=$work/aptless
  curl -fsSL -o "$program" "$APTLESS_DOWNLOAD"
  echo "$APTLESS_SHA256  $program" | sha256sum -c --quiet
  chmod 700 "$program"
fi

auth=oidc-github
if [ -n "${APTLESS_ID_TOKEN:-}" ] || [ -n "${GITLAB_CI:-}" ]; then
  auth=oidc-gitlab
fi
printf 'default = "job"\n[profile.job]\nurl = "%s"\nauth = "%s"\npolicy = "%s"\n' "$APTLESS_URL" "$auth" "${APTLESS_POLICY:-}" >"$work/config.toml"

# shellcheck disable=SC2086 # patterns and publications are separated by blanks
set -- $APTLESS_FILES
for at in ${APTLESS_PUBLISH:-}; do
  set -- --publish "$at" "$@"
done
# Without a home folder the program keeps no token, and ends the token at its end.
env -u APTLESS_URL -u APTLESS_PROFILE -u APTLESS_TOKEN -u HOME -u XDG_CONFIG_HOME APTLESS_CONFIG="$work/config.toml" \
  "$program" push --repo "$APTLESS_REPO" "$@"
