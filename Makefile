# Everything that the README asks for. `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

LAB := testdata/lab
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 30s
SEEDS ?= 100000
CLUSTERS ?= 4
# The race detector needs a C compiler; without one the tests run all the same.
RACE := $(if $(shell command -v $${CC:-cc}),-race)

.PHONY: help build test sim explore e2e bench fuzz vet lab lab-down demo demo-down golden

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/rollout
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/rollout ./cmd/rollout

# The simulator has no goroutines to race, and plays more without the detector.
SIM := ./orchestrator/sim ./orchestrator/explore

# The scripts start the program many hundred times: with the detector that takes
# minutes more. The other tests of the command line have it.
SCRIPTS := ^TestScript$$

test: vet ## vet, staticcheck and all tests that need no Fleet, with the race detector
	go test $(RACE) -timeout 20m -skip '$(SCRIPTS)' $$(go list ./... | grep -v -e orchestrator/sim -e orchestrator/explore)
	go test -timeout 20m -run '$(SCRIPTS)' ./cmd/rollout
	go test -timeout 20m $(SIM)
	cd $(LAB) && go test . ./cmd/...

vet:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt: $$(gofmt -l $$(git ls-files '*.go'))"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	cd $(LAB) && go vet ./...

sim: ## play SEEDS seeds of the simulator; the last line counts runs and broken invariants
	go test ./orchestrator/sim -run TestSeeds -seeds $(SEEDS) -v -timeout 0 | grep --line-buffered -v '^ok'

explore: ## every order of events of 3 services, 2 rings and 2 clusters each, with four faults
	go test ./orchestrator/explore -run TestExplore -full -v -timeout 0

e2e: ## the tests on a real Fleet, which they build (once) and start themselves
	cd $(LAB) && go run ./cmd/lab build
	cd $(LAB) && go test -count=1 -timeout 40m -parallel 200 -v ./e2e

bench: ## the benchmarks behind the marks
	go test -run '^$$' -bench . -benchmem ./...

fuzz: ## fuzz the editor of fleet.yaml for FUZZTIME
	go test -run '^$$' -fuzz FuzzEdit -fuzztime $(FUZZTIME) ./fleet/fleetyaml

golden: ## rewrite all golden files; read the difference before you commit it
	go test ./... -update

lab: ## start a real Fleet with CLUSTERS clusters on this machine and leave it running
	cd $(LAB) && go run ./cmd/lab build
	cd $(LAB) && go run ./cmd/lab up --clusters $(CLUSTERS)

lab-down: ## end exactly what `make lab` started
	cd $(LAB) && go run ./cmd/lab down

demo: build ## roll the sample application out in the lab, and leave it open to play with
	$(LAB)/demo.sh

demo-down: lab-down ## end the demo
