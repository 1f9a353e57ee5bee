# Targets for work on a checkout of aptless. `make help` lists them.

LISTEN   ?= 127.0.0.1:8080
DATA     ?= data
FUZZTIME ?= 20s
FUZZWORKERS ?= 1
FUZZLANES ?= 1

# Programs that the tests need besides Go, as Debian packages. `make test-core` needs
# none of them.
TOOLS := aptly            # the server for comparisons of answers and trees
TOOLS += debmirror        # a client of published trees, and of mirrors
TOOLS += debootstrap      # installs a system from a published tree, and another Debian's apt
TOOLS += fakeroot         # lets debootstrap and dpkg run without root
TOOLS += gpgv gnupg       # verify signatures, and make keys and signatures
TOOLS += apt-file         # a client of Contents
TOOLS += apt-utils        # apt-ftparchive makes indexes for comparison
TOOLS += dpkg-dev         # builds packages, and scans trees
TOOLS += reprepro         # makes trees for mirrors
TOOLS += bzip2 xz-utils zstd # unpack indexes
TOOLS += curl             # the client of the demo
TOOLS += mandoc           # checks the manual pages
TOOLS += graphviz         # draws the graph of the API
TOOLS += chromium         # the browser for tests of pages
TOOLS += tidy             # reads the HTML of pages, beside the test's own check
TOOLS += nodejs           # runs the code of infra/edge
TOOLS += python3-venv     # cfn-lint is installed with it
TOOLS += python3-requests # a client of aptly in Python, of the proxy and of signed uploads

# Java programs are among the substitutes for AWS. Only `make parts` needs these packages.
AWS_TOOLS := default-jre-headless maven

# cfn-lint checks template.yaml, and the translator of SAM shows the resources that
# CloudFormation makes of it. Each is installed into its own folder.
CFN_LINT := 1.58.0
SAM_TRANSLATOR := 1.110.0
PYTHON_TOOLS = $(CACHE)/cfn-lint/$(CFN_LINT) $(CACHE)/sam-translator/$(SAM_TRANSLATOR)
CACHE    := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/aptless

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# report prints the packages, the failed and skipped tests, and the sums.
REPORT := go run ./tests/report -allowed tests/allowed-skips.txt

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/aptless
	go build -trimpath -o bin/aptless ./functions/aptless

# The processor of the functions on AWS; template.yaml says arm64.
LAMBDA_ARCH ?= arm64

functions: ## build the Lambda functions to dist
	@for f in api worker schedule; do \
		echo "dist/$$f/bootstrap"; \
		CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_ARCH) go build -trimpath -tags lambda.norpc -ldflags '-s -w' -o dist/$$f/bootstrap ./functions/$$f; \
	done

# The zips have no times and no owners, so that equal programs make equal zips.
functions-zip: functions ## pack the Lambda functions to dist/api.zip, worker.zip and schedule.zip
	go run ./infra/zip dist

deploy: functions ## check the template and deploy it to AWS; needs Go and the program sam
	@command -v sam >/dev/null || { echo "deploy: the AWS SAM CLI is missing: https://docs.aws.amazon.com/serverless-application-model/" >&2; exit 1; }
	sam validate --lint --template-file template.yaml
	sam deploy --guided --template-file template.yaml --capabilities CAPABILITY_IAM

# The version of a release, for example 0.1, and the date of its files.
VERSION ?= $(shell sed -n 's/^const Version = ".*+aptless\(.*\)"/\1/p' core/front/app/app.go)
RELEASE_DATE = $$(git log -1 --format=%ct)

release: ## make programs, .deb, image, component lists, provenance, checksums and the own repository in dist; APTLESS_RELEASE_KEY names the key that signs
	rm -rf dist/aptless* dist/apt
	cd infra/packaging && SOURCE_DATE_EPOCH=$(RELEASE_DATE) go run . -version $(VERSION) -source ../.. -out ../../dist

# Programs that check the Debian package.
PACKAGE_TOOLS := lintian        # finds mistakes of Debian packages
PACKAGE_TOOLS += debootstrap    # installs the system in which the package is installed
PACKAGE_TOOLS += dpkg-dev file  # build and describe it
PACKAGE_TOOLS += systemd        # rates the exposure of the unit
PACKAGE_TOOLS += iproute2       # opens the loopback of a new network

test-package: package-tools ## test the release: reproducible, lintian, installed and served in a chroot of Debian 12, or 13 with APTLESS_SUITE=trixie; needs root
	cd infra/packaging && go test -count=1 -timeout 20m -v .

package-tools: ## install missing programs of test-package
	@$(call install,$(PACKAGE_TOOLS))

man: build ## write the manual pages to bin/man
	bin/aptless man bin/man

run: build ## serve on LISTEN (127.0.0.1:8080) with data in DATA (./data)
	bin/aptless serve --listen $(LISTEN) --data $(DATA)

demo: build tools ## upload, publish and install a package on a new server
	tests/demo.sh bin/aptless

# Packages that `make test` tests with -race: the ones with goroutines. Tests with -race
# take several times longer; `make test-all` runs all of them with it.
RACED := ./core/engine/... ./core/front/api ./core/front/audit ./core/front/auth ./infra/... ./functions/... \
	$(addprefix ./core/archive/,deliver keyring mirror pkglist pool query repo snapshot source upload upstream)

# The packages with the longest tests. They start first, so that none of them runs alone at
# the end.
LONGEST := ./tests/aws ./tests ./core/front/app ./core/archive/publish ./tests/differential ./tests/template ./tests/memory
RACED_LONGEST := ./infra/aws ./core/engine/task ./core/engine/gc ./core/engine/driver/drivertest ./core/engine/lists

# Many tests wait for other programs, so more packages than processors run at the same time.
AT_ONCE = -p $$(($$(nproc) + 2))

# Programs are installed while the sources are checked: one waits for the network, the other one for processors.
prepared:
	@$(MAKE) --no-print-directory -j2 installed lint

installed: everything
	@$(MAKE) --no-print-directory parts

# The tests of infra/packaging wait for other programs, as ./tests/aws does, so they run beside it. Their results are not
# cached: they read files of this module, which that of infra/packaging does not see. `make lint` has vetted the others.
test: prepared ## check the sources, then run the tests with -short, some with -race
	@raced=$$(go list $(RACED_LONGEST) $(RACED)); others=$$(go list $(LONGEST) ./... | grep -vxF "$$raced"); \
	packaging=$$(mktemp); trap 'rm -f "$$packaging"' EXIT; \
	{ failed=0; go test $(AT_ONCE) -vet=off -race -short -timeout 25m -json $$raced || failed=1; \
	if [ "$$(id -u)" = 0 ]; then (cd infra/packaging && go test -count=1 -timeout 25m -json . >"$$packaging") & \
	else echo 'the Debian package and the image were not tested, which needs root: sudo make test-package' >&2; true & fi; \
	go test $(AT_ONCE) -vet=off -short -timeout 25m -json $$others || failed=1; \
	wait $$! || failed=1; cat "$$packaging"; \
	exit $$failed; } | $(REPORT)

test-core: ## the tests of core that need only Go; the report names the others as skipped
	{ CI= go test -short -timeout 14m -json ./core/... && go test -json ./tests -run 'Documents|EachLaw|EachGuarantee|MapLeads'; } | go run ./tests/report -allowed tests/core-skips.txt

test-all: prepared ## all tests, with -race and without -short
	go test -race -timeout 60m -json ./... | $(REPORT)

test-readers: tools ## 10,000 publications beside readers and dying publishers in a model; 1,000 with apt-get
	go test -timeout 60m -v -run TestReaders ./tests/readers -publishes 10000
	go test -timeout 60m -v -run TestAlwaysReadable ./tests -publications 1000

SEEDS ?= 20000
FIRST ?= 1

simulate: bin/simulation.test ## run SEEDS (20,000) simulated histories with faults from seed FIRST (1) on, or as many as fit into MINUTES, on all processors
	cd tests/simulation && ../../bin/simulation.test -swarm -first $(FIRST) $(if $(MINUTES),-lasting $(MINUTES)m -seeds 100000000,-seeds $(SEEDS))

replay: bin/simulation.test ## run the history of SEED again, and make it smaller if it fails
	cd tests/simulation && ../../bin/simulation.test -test.run '^TestRunsKeepTheInvariants$$' -test.v -first $(SEED) -seeds 1

mutants: bin/simulation.test ## remove each protective condition in turn, and print the seeds of the simulation that fail; WRITE=1 searches them anew
	cd tests/simulation && ../../bin/simulation.test -mutants '$(or $(CONDITIONS),.)'$(if $(WRITE), -write-killers)

bin/simulation.test:
	go test -c -o $@ ./tests/simulation

NEWER_APT := $(CACHE)/debian-13

test-newer-apt: tools $(NEWER_APT)/usr/bin/apt ## the tests of real clients, with Debian 13's apt; needs root and the network
	APTLESS_APT_SYSTEM=$(NEWER_APT) go test -short -count=1 -v ./tests

$(NEWER_APT)/usr/bin/apt:
	rm -rf $(NEWER_APT)
	debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg trixie $(NEWER_APT) >/dev/null

# A test of these targets that finds no substitute for AWS fails, and is not skipped.
test test-all test-aws test-aws-slices test-transfer-large test-aws-large cost restore-drill: export CI = true

test-aws: tools parts ## all tests of the AWS deployment, on this machine
	go test -race -timeout 60m -v ./localstack/... ./infra/aws/... ./tests/aws

test-aws-slices: tools parts ## import 50,000 packages and collect 10,000 snapshots with a function timeout of 20 s; takes 1 to 2 hours
	go test -timeout 5h -v -run TestShortFunctions ./tests/aws -slice-packages 50000 -slice-snapshots 10000

test-transfer-large: tools parts ## export PACKAGES (50000) packages, import them into the AWS deployment on this machine, and bring them back
	go test -timeout 5h -v -run 'TestThereAndBack$$' ./tests/aws -transfer-packages $(or $(PACKAGES),50000)

test-aws-large: tools parts ## on this machine: a mirror of 2,000 packages, and of a folder REAL of Debian's; a package of 6 GB in the drop box, an import of 20 GB, a list of 60,000; needs 45 GB of disk
	go test -timeout 5h -v -run 'TestLarge(Mirror|Package|Import|List)$$' ./tests/aws $(if $(REAL),-large-real $(abspath $(REAL))) -large-mirror 2000 -large-package 6144 -large-import 20480 -large-each 512 -large-list 60000

cost: tools parts ## count the AWS requests of operations, and print the bills of example months
	go test -timeout 30m -v -run 'TestCost' ./tests/aws
	go run ./tests/bill

restore-drill: tools parts ## restore the deployment on this machine from a backup, as docs/operating.md does
	go test -timeout 20m -count=1 -v -run TestRestoreDrill ./tests/aws

test-aws-real: ## test the drivers and a deployed stack on AWS, with credentials; costs some cents
	go test -tags awsreal -count=1 -timeout 70m -v ./tests/awsreal

terraform: ## write the variables of infra/terraform from template.yaml
	go run ./infra/terraform/write

terraform-check: ## check infra/terraform with the program terraform, which downloads its provider
	terraform -chdir=infra/terraform init -backend=false -input=false
	terraform -chdir=infra/terraform validate
	terraform fmt -check infra/terraform

aws-local: tools parts ## run the AWS deployment on this machine: API at LISTEN, published tree at the next port
	@$(MAKE) --no-print-directory functions LAMBDA_ARCH=$$(go env GOARCH)
	go build -trimpath -o bin/aws-local ./localstack/serve
	bin/aws-local --listen $(LISTEN)

parts: aws-tools ## download the substitutes for AWS; see localstack
	@localstack/install.sh >/dev/null

screenshots: tools ## make the pictures of pages in docs/images
	mkdir -p docs/images
	go test ./tests/browser -run TestScreenshots -args -screenshots $(CURDIR)/docs/images

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

PACKAGES ?= 10000
RUNS     ?= 5

bench-peers: build ## measure aptless beside aptly and reprepro, where installed, with PACKAGES (10000) in RUNS (5)
	go run ./tests/peers -aptless bin/aptless -packages $(PACKAGES) -runs $(RUNS) -revision $$(git rev-parse --short HEAD 2>/dev/null || echo unknown)

recordings: ## write the recorded session of docs/cli.md from real runs with PACKAGES (10000) packages
	go test ./functions/aptless -run TestRecordedSession -count=1 -timeout 60m -args -record $(PACKAGES)

bench-push: build ## push PACKAGES (10000) packages by one command, beside repo add and publish of aptly
	PUSH_PACKAGES=$(PACKAGES) go test ./tests -run TestPushBesideAptly -v -count=1 -timeout 60m

KILLS ?= 20

torture: build ## let clients write to aptless, and to aptly if it is installed, and kill the servers KILLS (20) times
	go run ./tests/torture -aptless bin/aptless -kills $(KILLS) -v

migrate-drill: build ## move a root of aptly with PACKAGES (10000) packages to aptless, and let apt-get read both
	MIGRATE_PACKAGES=$(or $(PACKAGES),10000) go test ./tests -run TestAptGoesOnAfterAptly -v -timeout 60m

migrate-memory: ## convert a root of aptly with PACKAGES (60000) packages and SNAPSHOTS (1000) in less than 256 MiB, and print the peak
	go test ./functions/move/aptly -run TestMemoryIsBounded -count=1 -v -timeout 60m -memory-packages $(or $(PACKAGES),60000) -memory-snapshots $(or $(SNAPSHOTS),1000) -memory-limit 256

transfer-drill: build ## export PACKAGES (50000) packages from a server and import them into another
	TRANSFER_PACKAGES=$(or $(PACKAGES),50000) go test ./tests -run TestTransferKeepsTheTree -v -timeout 60m

fuzz: ## run every fuzz target for FUZZTIME (20s) with FUZZWORKERS (1), FUZZLANES (1) targets at a time, and print the number of inputs
	tests/fuzz.sh $(FUZZTIME) $(FUZZWORKERS) $(FUZZLANES)

lint: ## gofmt, vet and staticcheck
	@out=$$(gofmt -l core functions infra localstack tests); test -z "$$out" || { echo "not formatted by gofmt:"; echo "$$out"; exit 1; }
	go vet ./...
	go tool staticcheck ./...

$(CACHE)/cfn-lint/$(CFN_LINT):
	rm -rf $(CACHE)/cfn-lint
	python3 -m venv $(CACHE)/cfn-lint
	$(CACHE)/cfn-lint/bin/pip install --quiet --disable-pip-version-check cfn-lint==$(CFN_LINT)
	@touch $@

$(CACHE)/sam-translator/$(SAM_TRANSLATOR):
	rm -rf $(CACHE)/sam-translator
	python3 -m venv $(CACHE)/sam-translator
	$(CACHE)/sam-translator/bin/pip install --quiet --disable-pip-version-check aws-sam-translator==$(SAM_TRANSLATOR) pyyaml
	@touch $@

tools: ## install missing programs of the tests and the demo
	@$(call install,$(TOOLS))
	@$(MAKE) --no-print-directory $(PYTHON_TOOLS)

aws-tools: ## install missing programs of the substitutes for AWS
	@$(call install,$(AWS_TOOLS))

everything: # tools, aws-tools and package-tools, with one call of apt-get
	@$(call install,$(TOOLS) $(AWS_TOOLS) $(PACKAGE_TOOLS))
	@$(MAKE) --no-print-directory $(PYTHON_TOOLS)

# install installs missing packages with one apt-get update and one apt-get install. A java
# or mvn from another source counts as installed.
define install
missing=; \
for p in $(1); do \
	case $$p in \
	default-jre-headless) if command -v java >/dev/null; then continue; fi ;; \
	maven) if command -v mvn >/dev/null; then continue; fi ;; \
	esac; \
	dpkg-query -W -f '$${Status}' "$$p" 2>/dev/null | grep -q '^install ok installed$$' || missing="$$missing $$p"; \
done; \
[ -n "$$missing" ] || exit 0; \
echo "installing$$missing with apt-get"; \
if [ "$$(id -u)" = 0 ]; then as_root=; \
elif command -v sudo >/dev/null; then as_root=sudo; \
else echo "neither root nor sudo: install$$missing and come back" >&2; exit 1; fi; \
$$as_root apt-get update -qq -o Acquire::Retries=3; \
$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 --no-install-recommends $$missing >/dev/null
endef

template: ## copy the code of infra/edge into template.yaml
	go run ./infra/edge/write

clean: ## remove build results; data stay
	rm -rf bin dist

.PHONY: help prepared installed man migrate-memory bench-push recordings terraform-check functions-zip restore-drill test-aws-real terraform migrate-drill release test-package package-tools parts bin/simulation.test build functions deploy run demo template test test-core test-readers simulate replay mutants test-newer-apt test-aws test-aws-slices test-transfer-large cost aws-local test-all bench bench-peers torture fuzz lint tools aws-tools everything clean
