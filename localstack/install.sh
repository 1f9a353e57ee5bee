#!/usr/bin/env bash
# Downloads the substitutes for AWS: DynamoDB Local and ElasticMQ with Maven,
# versitygw with Go. Prints their folder. Downloads only missing parts.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${APTLESS_LOCALSTACK:-${XDG_CACHE_HOME:-$HOME/.cache}/aptless/localstack}
stamp=$(cat "$here/pom.xml" "$here/tools/go.mod" | sha256sum | cut -c1-16)
dir=$cache/$stamp
if [ ! -e "$dir/complete" ]; then
	for need in java mvn; do
		if ! command -v "$need" >/dev/null; then
			echo "localstack: $need is missing: install Debian's default-jre-headless and maven" >&2
			exit 1
		fi
	done
	rm -rf "$dir" && mkdir -p "$dir"
	mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/jars" -Dmdep.useBaseVersion=true >&2
	(cd "$here/tools" && go build -o "$dir/versitygw" github.com/versity/versitygw/cmd/versitygw)
	touch "$dir/complete"
fi
echo "$dir"
