#!/usr/bin/env bash
# Publishes two packages and downloads them. Starts a new server, uploads a package of
# Debian's archive and a locally built one, publishes both, and downloads both with the
# real apt-get, which has its own root folder. usage: tests/demo.sh bin/aptless
# With SCHEME=Basic or SCHEME=Bearer the server is closed, and curl sends a token so.
set -euo pipefail
bin=$(realpath "$1")
work=$(mktemp -d)
port=${PORT:-18080}
url=http://127.0.0.1:$port
cleanup() {
	[ -z "${server:-}" ] || kill "$server" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
say() { printf '\n== %s\n' "$*"; }
call() { curl -fsS "${credentials[@]}" "$@"; }
post() { call -X POST -H 'Content-Type: application/json' "$@"; echo; }

say "a locally built package, and one of Debian's archive"
mkdir -p "$work/debs" "$work/tree/DEBIAN" "$work/tree/usr/share/hello-aptless"
printf 'Package: hello-aptless\nVersion: 1.0-1\nArchitecture: all\nMaintainer: Demo <demo@example.org>\nDescription: a locally built package\n' >"$work/tree/DEBIAN/control"
echo hello >"$work/tree/usr/share/hello-aptless/hello.txt"
dpkg-deb --root-owner-group -b "$work/tree" "$work/debs" >/dev/null
chmod 777 "$work/debs"
(cd "$work/debs" && apt-get -qq -o APT::Sandbox::User=root download hello)
ls -l "$work/debs"
arch=$(dpkg --print-architecture)

say "a new server"
credentials=() auth=()
if [ -n "${SCHEME:-}" ]; then
	APTLESS_ADMIN_TOKEN=$("$bin" token generate)
	export APTLESS_ADMIN_TOKEN
	auth=(--auth)
	case $SCHEME in
	Basic) credentials=(-u "token:$APTLESS_ADMIN_TOKEN") ;;
	Bearer) credentials=(-H "Authorization: Bearer $APTLESS_ADMIN_TOKEN") ;;
	*) echo "SCHEME is Basic or Bearer" >&2; exit 1 ;;
	esac
fi
"$bin" serve "${auth[@]}" --listen "127.0.0.1:$port" --data "$work/data" 2>"$work/log" &
server=$!
for _ in $(seq 100); do curl -fsS "$url/api/ready" >/dev/null 2>&1 && break; sleep 0.2; done
call "$url/api/version"; echo

say "upload, import, publish"
for f in "$work"/debs/*.deb; do call -F "file=@$f" "$url/api/files/incoming"; echo; done
post -d '{"Name":"demo","DefaultDistribution":"stable"}' "$url/api/repos"
post "$url/api/repos/demo/file/incoming"
post -d "{\"SourceKind\":\"local\",\"Sources\":[{\"Name\":\"demo\"}],\"Architectures\":[\"$arch\"]}" "$url/api/publish"

say "gpgv"
curl -fsS "$url/key.asc" | gpg --dearmor >"$work/key.gpg"
for f in InRelease Release Release.gpg; do curl -fsS -o "$work/$f" "$url/dists/stable/$f"; done
gpgv --keyring "$work/key.gpg" "$work/InRelease"
gpgv --keyring "$work/key.gpg" "$work/Release.gpg" "$work/Release"

say "apt-get, with Signed-By and its own root folder"
root=$work/root
mkdir -p "$root/lists/partial" "$root/archives/partial" "$root/empty"
touch "$root/status"
curl -fsS "$url/aptless.sources" >"$root/aptless.sources"
cat "$root/aptless.sources"
mkdir -p "$root/parts" && cp "$root/aptless.sources" "$root/parts/"
apt_private() {
	apt-get -o Dir::State="$root" -o Dir::State::Lists="$root/lists" -o Dir::State::status="$root/status" \
		-o Dir::Cache="$root" -o Dir::Cache::archives="$root/archives" -o Dir::Etc::sourcelist=/dev/null \
		-o Dir::Etc::sourceparts="$root/parts" -o Dir::Etc::trustedparts="$root/empty" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Acquire::http::Proxy=DIRECT "$@"
}
apt_private update
(cd "$work" && apt_private download hello hello-aptless)
for f in "$work"/debs/*.deb; do cmp "$f" "$work/$(basename "$f")"; done
say "both downloads equal the uploads"
