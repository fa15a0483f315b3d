# headway: everything a developer calls. `make help` lists it.
# Each target sets up what it needs; a second call costs nothing extra.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# python3.11 where there is one that runs (version managers install shims that do not), else
# python3.12, else python3.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info < (3,13))' 2>/dev/null \
	&& echo $$p && break; done)
PACKAGES := headway carla_bridge perception language world_model planner scenarios
# What follows `make drive` on the command line, e.g. make drive ARGS="town=ring seed=3"
ARGS ?=
# Without the last, pytest-xdist waits for ever once a worker has crashed.
IN_TWO := -n 2 --dist loadfile --max-worker-restart=0

.PHONY: help
help: ## list all targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort \
		| awk -F ':.*## ' '{printf "  \033[36m%-14s\033[0m %s\n", $$1, $$2}'

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "headway needs Python 3.11 or 3.12 on the PATH (or make PYTHON=...)" >&2; exit 2; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing headway and its dependencies into $(VENV) (the first time takes minutes)"
	@$(BIN)/pip install --disable-pip-version-check --quiet --editable '.[dev]'
	@touch $@

.PHONY: setup
setup: $(READY) kernels ## set up .venv, dependencies and compiled kernels

.PHONY: kernels
kernels: $(READY) ## compile the numba kernels (cached; shows progress the first time)
	@$(BIN)/python -m scenarios.warm

# The tests of the report open it in a Chromium: one that is there, Playwright's, or Debian's.
.PHONY: browser
browser: $(READY) ## a Chromium for the report's tests, where there is none
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	$(BIN)/playwright install chromium \
	|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } \
	|| echo "no Chromium could be installed: the tests that open the report will be skipped" >&2

.PHONY: drive
drive: setup ## drive a route through traffic (ARGS="town=grid seed=1 planner=mpc")
	$(BIN)/headway drive $(ARGS)

.PHONY: test
test: setup browser ## the tests, about five minutes
	$(BIN)/python -m pytest $(IN_TWO)

.PHONY: test-bounds
test-bounds: $(READY) ## the tests with every index of the kernels checked
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m scenarios.warm
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest $(IN_TWO)

.PHONY: test-all
test-all: setup browser ## the tests and those marked slow
	$(BIN)/python -m pytest $(IN_TWO) -m "slow or not slow" -o faulthandler_timeout=7200

.PHONY: test-scenarios
test-scenarios: setup ## every scenario type: who looks gets through, who does not fails
	$(BIN)/python -m pytest $(IN_TWO) tests/scenarios/test_types.py tests/scenarios/test_types_placed.py \
	    tests/scenarios/test_obstacles.py tests/scenarios/test_pedestrians.py tests/scenarios/test_runner_classes.py \
	    -m "slow or not slow" -o faulthandler_timeout=7200

.PHONY: lint
lint: $(READY) ## ruff, pyright, import-linter
	$(BIN)/ruff check $(PACKAGES) tests
	$(BIN)/ruff format --check $(PACKAGES) tests
	$(BIN)/pyright
	$(BIN)/lint-imports

.PHONY: format
format: $(READY) ## format the code and mend what ruff can
	$(BIN)/ruff check --fix $(PACKAGES) tests
	$(BIN)/ruff format $(PACKAGES) tests

.PHONY: fidelity
fidelity: setup ## our vehicles beside recordings of CARLA's, into docs/fidelity.md
	$(BIN)/python -m scenarios.fidelity

.PHONY: docs
docs: setup ## the tables that are generated from the code
	$(BIN)/python -m carla_bridge.headless.rpc_table

.PHONY: bench-server
bench-server: setup ## ticks per second through the real client, beside the prototype where it is at hand
	$(BIN)/python -m scenarios.bench_server $(ARGS)

.PHONY: bench-drive
bench-drive: setup ## ten seeds on each town: completion, faults, agents near, wall time per simulated second
	$(BIN)/python -m scenarios.bench_drive $(ARGS)

.PHONY: bench-tuning
bench-tuning: setup ## three settings of every planner on headway_dev, one route a type
	$(BIN)/python -m scenarios.bench_tuning $(ARGS)

.PHONY: bench-rivals
bench-rivals: setup ## every planner bare on the same routes, mpc also guarded: the README's table
	$(BIN)/python -m scenarios.bench_rivals $(ARGS)

.PHONY: bench-planner
bench-planner: setup ## the MPC's times and plans beside IPOPT's and other solvers' (ARGS=--quick: a minute)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m scenarios.bench_planner $(ARGS)

.PHONY: soak
soak: setup ## 50,000 ticks with 20 traffic-manager vehicles and 20 load_world calls
	$(BIN)/python tests/soak.py $(ARGS)

.PHONY: clean
clean: ## remove what the targets made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache outputs
	find $(PACKAGES) tests -name __pycache__ -prune -exec rm -rf {} +
