# A menu over the commands of .ci/run and .ci/tools, for those who like make.
# Nothing here does more than what CONTRIBUTING.md says to type.

.DEFAULT_GOAL := help
.PHONY: help ci quick long test race lint cover allocs cross check outside bench tidy fix apidiff release-check

REPO := GOWORK=off go -C .ci/tools run ./repo

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

ci: ## everything that the public workflow checks
	@bash .ci/run

quick: ## the same without the slow steps
	@bash .ci/run -quick

long: ## the long tier: hours of schedules, soak, repetition, mutants
	@bash .ci/run -long

test: ## run all tests
	go test work

race: ## run all tests under the race detector, with 1, 2 and 4 processors
	@bash .ci/run race

lint: ## gofmt, vet, staticcheck, golangci-lint
	@bash .ci/run gofmt vet staticcheck lint

cover: ## the coverage of each module
	@bash .ci/run cover

allocs: ## the gates on allocations
	@bash .ci/run allocs

cross: ## build and vet for other systems, run the tests as 386
	@bash .ci/run 386 cross

check: ## versions, replacements, direction of imports, links, each module alone
	@bash .ci/run repo alone

outside: ## build the planned versions from outside the repository
	@bash .ci/run outside

bench: ## run core's benchmarks six times in turn and print medians and ratios
	@for i in 1 2 3 4 5 6; do go test -run '^$$' -bench . -benchtime 0.3s ./core; done | GOWORK=off go -C .ci/tools run ./bench -baseline chan

tidy: ## run go mod tidy in every module
	@go list -m -f '{{.Dir}}' | while read -r dir; do (cd "$$dir" && GOWORK=off go mod tidy) || exit 1; done
	@cd .ci/tools && GOWORK=off go mod tidy

fix: ## rewrite the requirements and replacements between the modules, format, tidy
	$(REPO) fix
	@go list -m -f '{{.Dir}}' | xargs gofmt -l -w .ci/tools
	@$(MAKE) --no-print-directory tidy

apidiff: ## compare every library with its last tag
	$(REPO) apidiff

release-check: ## run the release gate and print the tags that would be set
	$(REPO) tag
