# Needs Python (3.11 or newer) and make; the rest is set up in .venv, anew whenever pyproject.toml or what is compiled changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ROUNDS ?= 5
SLOW_ROUNDS ?= 5
FIGURES := docs/benchmarks
# RESUME=--resume goes on with a benchmark that was interrupted.
RESUME ?=
PAGES ?= 5000,50000,500000
URLS ?= 10000000
KILLS ?= 100
EXECUTIONS ?= 1000000
REQUESTS ?= 1000000
HOSTS ?= 100000
MINUTES ?= 60

# As containers have it. The tests start hundreds of processes, and each would compile anew what it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test coverage format kill-test fuzz bench bench-costs bench-flat bench-profile bench-client bench-memory bench-frontier bench-processes bench-hosts soak clean

help:           ## Show what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/.run  ## Crawl a small bundled site on this machine and show what came of it
	$(BIN)/crawl demo

test: $(VENV)/.dev  ## Lint, check types and run the tests, as CI does
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses auto

coverage: $(VENV)/.dev  ## Run the tests and measure which lines and branches they take
	$(BIN)/pytest --numprocesses auto --cov --cov-report term:skip-covered

format: $(VENV)/.dev  ## Format the code and mend what the linter can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

kill-test: $(VENV)/.dev  ## Kill whole crawls KILLS (100) times, and compare what comes of them
	KILLS=$(KILLS) $(BIN)/pytest -m long -s -v tests/proof/test_kill.py

fuzz: $(VENV)/.dev  ## Try EXECUTIONS (1 million) random cookies, headers, challenges, responses and documents each
	set -e; for target in cookies disposition challenges http1 links; do \
		$(BIN)/python -m tests.fuzz $$target --executions $(EXECUTIONS); done
	$(BIN)/python -m tests.fuzz http2 --executions $$(( $(EXECUTIONS) / 10 ))
	$(BIN)/python -m tests.fuzz http2_sessions --executions $$(( $(EXECUTIONS) / 5000 ))

bench: $(VENV)/.bench  ## Measure whole crawls beside other crawlers, ROUNDS (5) times, the slow ones SLOW_ROUNDS (5) times
	$(BIN)/python -m tests.benchmarks.crawls --rounds $(ROUNDS) --slow-rounds $(SLOW_ROUNDS) --figures $(FIGURES)/crawls.json $(RESUME)
	$(BIN)/python -m tests.benchmarks.report

bench-costs: $(VENV)/.bench  ## Measure what the durable frontier, the display and kept bodies cost, and how soon a crawl starts
	$(BIN)/python -m tests.benchmarks.costs --figures $(FIGURES)/costs.json $(RESUME)
	$(BIN)/python -m tests.benchmarks.report

bench-flat: $(VENV)/.bench  ## Measure what a page costs in crawls of PAGES (5,000 to 500,000) pages
	$(BIN)/python -m tests.benchmarks.flat --pages $(PAGES) --figures $(FIGURES)/flat.json $(RESUME)
	$(BIN)/python -m tests.benchmarks.report

bench-profile: $(VENV)/.bench  ## Draw where the time of a crawl goes, in build/profile.svg
	$(BIN)/python -m tests.benchmarks.profile

GETS = $(BIN)/python -m tests.benchmarks.gets --rounds $(ROUNDS) --figures $(FIGURES)/client.json
FEW := --peers Nephila,aiohttp,bare\ loop

bench-client: $(VENV)/.bench  ## Measure the client alone, request by request, beside others
	$(GETS) $(RESUME)
	$(GETS) --resume $(FEW) --loop uvloop
	$(GETS) --resume $(FEW) --sleep --concurrency 1
	$(GETS) --resume $(FEW) --sleep --concurrency 1 --loop uvloop
	$(BIN)/python -m tests.benchmarks.report

bench-memory: $(VENV)/.dev  ## See what memory the client takes for a body of 1 GB, and for REQUESTS (1 million) requests
	$(BIN)/python -m tests.benchmarks.client_memory --requests $(REQUESTS)

bench-frontier: $(VENV)/.bench  ## Measure the frontier alone at URLS (10 million) URLs; with PEERS=1 beside Scrapy's and Crawlee's
	$(BIN)/python -m tests.benchmarks.frontier --urls $(URLS) $(if $(PEERS),--peers)

bench-processes: $(VENV)/.bench  ## Measure what more processes bring, ROUNDS (5) times
	$(BIN)/python -m tests.benchmarks.processes --rounds $(ROUNDS)

bench-hosts: $(VENV)/.bench  ## Measure crawls of HOSTS (100,000) hosts, each with a delay: politeness, and what it costs
	$(BIN)/python -m tests.benchmarks.hosts --hosts $(HOSTS)

soak: $(VENV)/.dev  ## Crawl a web on which everything goes wrong for MINUTES (60), and see that nothing grows or is lost
	$(BIN)/python -m tests.benchmarks.soak --minutes $(MINUTES) --report docs/soak.md

clean:          ## Remove what was set up or left behind, but no crawl
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* htmlcov

COMPILED := $(foreach module,crawler/web/scan crawler/frontier/marks,$(module).py $(module).pxd)
SET_UP_FROM := pyproject.toml hatch_build.py $(COMPILED)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(SET_UP_FROM) | $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: $(SET_UP_FROM) | $(BIN)/python
	$(PIP) --editable ".[dev]"
	touch $(VENV)/.run $@

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) --editable ".[bench]"
	touch $@
