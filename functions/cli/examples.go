package cli

import "strings"

// examples are two command lines for each command, without the name of the program. A
// command of a group has the examples, and a group has the first of its first two commands.
const examples = `
audit --since 48h
audit --event token.create --since 720h
audit verify
audit verify --since 720h
auth open --data /var/lib/aptless --yes
auth open --yes
backup /srv/backups
backup --with-keys --keep 7 /srv/backups
completion bash > /etc/bash_completion.d/aptless
completion bash | head
completion fish > ~/.config/fish/completions/aptless.fish
completion fish | source
completion powershell > aptless.ps1
completion powershell --no-descriptions
completion zsh > ~/.zfunc/_aptless
completion zsh --no-descriptions
config show
config show --profile staging
console
console --read --port 8090
db cleanup
db cleanup --dry-run
db recover
db recover --url http://127.0.0.1:8080
doctor
doctor --sources '/srv/images/*/etc/apt/sources.list.d/*.sources'
export /srv/export
export --only repo/tools --only 'publication/./*' /srv/export
files drop build-17
files drop build-17 --profile staging
files list
files list build-17
files upload build-17 hello_1.0_amd64.deb
files upload build-17 dist/
fsck --deep --repair
fsck --data /var/lib/aptless
graph --output graph.svg
graph --format gv --layout vertical
healthcheck
healthcheck --url unix:///run/aptless/api.sock
help repo add
help publish
import /srv/export
import --dry-run --as tools=tools-copy /srv/export
key export --data /var/lib/aptless > packages.asc
key export --secret --passphrase-file passphrase 6D33866EDD8FFA41
key import --gpg packages@example.org --data /var/lib/aptless
key import signing-key.asc --passphrase-file passphrase
key kms alias/packages --name Packages --email packages@example.org
key kms kms:1234abcd --name Packages --email packages@example.org --created 2026-03-01T00:00:00Z
key lint
key lint --json
key list
key list --json
key generate --data /var/lib/aptless --name 'Example packages' --email packages@example.org
key generate --type ed25519 --passphrase-file passphrase
key rotate --data /var/lib/aptless --name 'Example packages' --email packages@example.org
key rotate --data /var/lib/aptless --wait 1440h
key trusted add debian-archive.asc
key trusted add --keyserver hkps://keys.openpgp.org --keyring uploads.gpg 6D33866EDD8FFA41
key trusted drop 6D33866EDD8FFA41
key trusted drop --keyring uploads.gpg 6D33866EDD8FFA41
key trusted list
key trusted list --keyring uploads.gpg
login < token
login --url https://packages.example.org
logout
logout --url https://packages.example.org
man /usr/share/man/man1
man build/man
migrate apt http://old.example.org/debian --dist stable
migrate apt /srv/reprepro --dist bookworm,trixie --prefix team
migrate aptly --dry-run ~/.aptly
migrate aptly --conf /etc/aptly.conf --with-uploads ~/.aptly
migrate verify --old http://old.example.org --new http://127.0.0.1:8080 stable
migrate verify --old ~/.aptly/public --new http://127.0.0.1:8080 team/stable frozen
mirror create bookworm http://deb.debian.org/debian bookworm main contrib
mirror create --filter 'Name (% nginx*)' --filter-with-deps --schedule 6h web http://deb.debian.org/debian bookworm main
mirror drop bookworm
mirror drop --force --yes bookworm
mirror edit --filter 'Priority (required)' bookworm
mirror edit --archive-url http://mirror.example.org/debian bookworm
mirror list
mirror list --json
mirror rename bookworm debian-12
mirror rename web nginx
mirror search bookworm 'Name (nginx), $Version (>= 1.20)'
mirror search --latest --format '{{.Package}} {{.Version}}' bookworm
mirror show bookworm
mirror show --with-packages bookworm
mirror update bookworm
mirror update --no-wait bookworm
package search 'Name (hello)'
package search --limit 20 --format '{{.Package}} {{.Version}}' 'Maintainer (% *@example.org*)'
package show hello_1.0_amd64
package show --with-files --with-references hello_1.0_amd64
policy list
policy list --url https://packages.example.org
policy remove release
policy remove release --url https://packages.example.org
policy set release < release.json
policy set release --file release.json
policy show release
policy show release --url https://packages.example.org
proxy --to https://packages.example.org
proxy --to https://packages.example.org --listen unix:///run/user/1000/aptless.sock
publish drop bookworm
publish drop --dry-run bookworm team
publish history bookworm
publish history bookworm team
publish list
publish list --raw
publish plan bookworm
publish plan bookworm team
publish repo --distribution bookworm tools
publish repo --component main,contrib --distribution bookworm tools extras team
publish rollback bookworm
publish rollback --dry-run bookworm 3 team
publish show bookworm
publish show bookworm team --json
publish snapshot --distribution bookworm tools-1.0
publish snapshot --component main,contrib --distribution bookworm tools-1.0 extras-1.0 team
publish source add --component contrib bookworm extras
publish source add --prefix team --component contrib bookworm extras
publish source drop bookworm
publish source drop --prefix team bookworm
publish source list bookworm
publish source list --prefix team bookworm
publish source remove --component contrib bookworm
publish source remove --prefix team --component contrib,non-free bookworm
publish source replace --component main bookworm tools
publish source replace --component main,contrib bookworm tools extras
publish source update --component main bookworm tools-1.1
publish source update --prefix team --component main bookworm tools-1.1
publish switch bookworm tools-1.1
publish switch --component main,contrib bookworm team tools-1.1 extras-1.1
publish update bookworm
publish update --dry-run bookworm team
push --repo tools --publish bookworm dist/
push --repo tools --publish bookworm@team --create hello_1.0_amd64.deb
repo add tools hello_1.0_amd64.deb
repo add --force-replace --remove-files tools dist/
repo copy tools extras 'Name (hello)'
repo copy --with-deps tools extras hello
repo create --distribution bookworm tools
repo create tools from snapshot tools-1.0
repo drop tools
repo drop --force --yes tools
repo edit --comment 'Tools of the team' tools
repo edit --uploaders-file uploaders.json tools
repo import bookworm tools nginx
repo import --with-deps bookworm tools 'nginx (>= 1.20)'
repo include hello_1.0_amd64.changes
repo include --repo tools --accept-unsigned dist/
repo list
repo list --json
repo move tools extras 'Name (hello)'
repo move --dry-run tools extras hello
repo remove tools 'hello (= 1.0)'
repo remove --dry-run tools 'Name (% hello*)'
repo rename tools team-tools
repo rename extras contrib
repo search tools 'Name (hello)'
repo search --latest --limit 20 tools
repo show tools
repo show --with-packages tools
restore /srv/backups --data /var/lib/aptless
restore /srv/backups/20261127T030000Z --data /tmp/look
serve
serve --data /var/lib/aptless --listen 127.0.0.1:8080 --auth
setup stable | ssh host sh
setup stable@team --for ansible
snapshot create tools-1.0 from repo tools
snapshot create --description 'Before the freeze' bookworm-0301 from mirror bookworm
snapshot diff tools-1.0 tools-1.1
snapshot diff --only-matching tools-1.0 tools-1.1
snapshot drop tools-1.0
snapshot drop --force --yes tools-1.0
snapshot edit --description 'The first release' tools-1.0
snapshot edit --description '' tools-1.0
snapshot filter bookworm-0301 web-0301 'Name (nginx)'
snapshot filter --with-deps bookworm-0301 web-0301 nginx
snapshot list
snapshot list --sort time
snapshot merge all-1.0 tools-1.0 extras-1.0
snapshot merge --latest all-1.0 tools-1.0 extras-1.0
snapshot pull bookworm-0301 bookworm-0308 bookworm-nginx nginx
snapshot pull --dry-run bookworm-0301 bookworm-0308 bookworm-nginx 'nginx (>= 1.20)'
snapshot rename tools-1.0 tools-first
snapshot rename bookworm-0301 march
snapshot search tools-1.0 'Name (hello)'
snapshot search --latest --limit 20 tools-1.0
snapshot show tools-1.0
snapshot show --with-packages tools-1.0
snapshot verify tools-1.0
snapshot verify tools-1.0 bookworm-0301
task cancel 17
task cancel 17 --profile staging
task clear
task clear --profile staging
task list
task list --state running
task log 17
task log -f 17
task run repo create tools, repo add tools dist/
task run --filename commands.txt
task show 17
task show 17 --json
task wait 17
task wait --timeout 10m 17 18
token create --name ci --role uploader --repo tools
token create --admin --data /var/lib/aptless --name first
token exchange
token exchange --policy release
token generate
token generate > token
token list
token list --live --owner ci
token revoke 8f3a2c1d
token revoke 8f3a2c1d --url https://packages.example.org
token rotate 8f3a2c1d
token rotate 8f3a2c1d --grace 1h
upload build-17 hello_1.0_amd64.deb
upload --sigv4 build-17 hello_1.0_amd64.deb
version
version --json
whoami
whoami --profile staging
`

// examplesOf returns the lines of each command: a line is that of the longest command whose
// words it begins with. names are the words of all commands.
func examplesOf(names map[string]bool) map[string][]string {
	all := map[string][]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(examples), "\n") {
		of := ""
		for end := range len(line) + 1 {
			if (end == len(line) || line[end] == ' ') && names[line[:end]] {
				of = line[:end]
			}
		}
		all[of] = append(all[of], line)
	}
	return all
}
