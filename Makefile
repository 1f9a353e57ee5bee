# aptless: what one does with a checkout. `make help` lists it.

LISTEN   ?= 127.0.0.1:8080
DATA     ?= data
FUZZTIME ?= 20s

# What the tests and the demo call besides Go; Debian's names of the packages.
TOOLS := aptly debmirror debootstrap fakeroot gpgv gnupg apt-file apt-utils dpkg-dev reprepro bzip2 xz-utils zstd curl graphviz nodejs python3-venv

# cfn-lint reads template.yaml; it lives in a place of its own.
CFN_LINT := 1.58.0
CACHE    := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/aptless

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# report prints the packages, what failed, what was skipped and the sums.
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

deploy: functions tools ## check the template and deploy it to AWS; needs the program sam
	@command -v sam >/dev/null || { echo "deploy: the AWS SAM CLI is missing: https://docs.aws.amazon.com/serverless-application-model/" >&2; exit 1; }
	$(CACHE)/cfn-lint/bin/cfn-lint template.yaml
	sam deploy --guided --template-file template.yaml --capabilities CAPABILITY_IAM

run: build ## serve on LISTEN (127.0.0.1:8080) with data in DATA (./data)
	bin/aptless serve --listen $(LISTEN) --data $(DATA)

demo: build tools ## upload, publish and apt-get a package against a fresh server
	tests/demo.sh bin/aptless

test: tools parts lint ## check the sources, then run the tests with -race and -short
	go test -race -short -timeout 14m -json ./... | $(REPORT)

test-all: tools parts lint ## the same without -short
	go test -race -timeout 60m -json ./... | $(REPORT)

test-readers: tools ## 10,000 publications with readers, and publishers that die, in a model; 1,000 with apt-get
	go test -timeout 60m -v -run TestReaders ./tests/readers -publishes 10000
	go test -timeout 60m -v -run TestAlwaysReadable ./tests -publications 1000

NEWER_APT := $(CACHE)/debian-13

test-newer-apt: tools $(NEWER_APT)/usr/bin/apt ## what real clients do, with the apt of Debian 13; needs root and the network
	APTLESS_APT_SYSTEM=$(NEWER_APT) go test -short -count=1 -v ./tests

$(NEWER_APT)/usr/bin/apt:
	rm -rf $(NEWER_APT)
	debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg trixie $(NEWER_APT) >/dev/null

test-aws: tools parts ## all of the tests of aptless as it is deployed to AWS, on this machine
	go test -race -timeout 60m -v ./localstack/... ./infra/aws/... ./tests/aws

cost: tools parts ## measure what operations ask of AWS: docs/cost.md
	go test -timeout 30m -v -run 'TestCost' ./tests/aws

aws-local: tools parts ## run what is deployed to AWS on this machine: API at LISTEN, published tree at the next port
	@$(MAKE) --no-print-directory functions LAMBDA_ARCH=$$(go env GOARCH)
	go build -trimpath -o bin/aws-local ./localstack/serve
	bin/aws-local --listen $(LISTEN)

parts: tools ## fetch what stands in for AWS in the tests; see localstack
	@localstack/install.sh >/dev/null

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

fuzz: ## fuzz every target in turn for FUZZTIME (20s)
	@grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' core infra functions tests | sed 's/func //' | sort | \
	while IFS=: read -r file target; do \
		echo "== $$(dirname "$$file") $$target"; \
		go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$file")"; \
	done

lint: ## gofmt, vet and staticcheck
	@out=$$(gofmt -l core functions infra localstack tests); test -z "$$out" || { echo "not formatted by gofmt:"; echo "$$out"; exit 1; }
	go vet ./...
	go tool staticcheck ./...

$(CACHE)/cfn-lint/$(CFN_LINT):
	rm -rf $(CACHE)/cfn-lint
	python3 -m venv $(CACHE)/cfn-lint
	$(CACHE)/cfn-lint/bin/pip install --quiet --disable-pip-version-check cfn-lint==$(CFN_LINT)
	@touch $@

tools: packages ## install what the tests call and is missing
	@$(MAKE) --no-print-directory $(CACHE)/cfn-lint/$(CFN_LINT)

packages: ## the Debian packages of tools, with apt-get
	@missing=; \
	for p in $(TOOLS); do \
		dpkg-query -W -f '$${Status}' "$$p" 2>/dev/null | grep -q '^install ok installed$$' || missing="$$missing $$p"; \
	done; \
	command -v java >/dev/null || missing="$$missing default-jre-headless"; \
	command -v mvn >/dev/null || missing="$$missing maven"; \
	[ -n "$$missing" ] || exit 0; \
	echo "tools: installing$$missing with apt-get"; \
	if [ "$$(id -u)" = 0 ]; then as_root=; \
	elif command -v sudo >/dev/null; then as_root=sudo; \
	else echo "tools: neither root nor sudo: install$$missing and come back" >&2; exit 1; fi; \
	$$as_root apt-get update -qq; \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null

clean: ## remove what was built; data stay
	rm -rf bin dist

.PHONY: help parts build functions deploy run demo test test-readers test-newer-apt test-aws cost aws-local test-all bench fuzz lint tools packages clean
