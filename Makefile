# `make` alone prints what there is. GNU Make 3.81, which macOS has, is enough.

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Always measured, so that `make check` runs the very command that `make test` runs.
MEASURED := $(PYTEST) --cov --cov-report= --numprocesses=auto -m "not browser"
# Files stay whole, since a worker keeps an application for each address that it serves.
BROWSER := $(PYTEST) --numprocesses=2 --dist=loadfile -m browser
# Tests start hundreds of processes, which shall not compile everything anew.
export PYTHONDONTWRITEBYTECODE =
UPGRADE ?=
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-dev demo run test test-all soak lint check audit mutants bench bench-full lock messages format

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv from the runtime lock (PYTHON=... picks the Python)
	@deploy/setup.sh runtime

setup-dev:
	@deploy/setup.sh dev

demo: setup ## Show a whole sign-in with made-up data (PORT=... picks the port)
	$(BIN)/python docs/examples/demo.py

run: setup ## Prepare the database if needed, and serve
	$(BIN)/gatehouse init
	$(BIN)/gatehouse serve

test: setup-dev ## Run every test, on both databases where SQL is the point (tests/selection.py)
	@deploy/setup.sh browser
	$(MEASURED) --quick
	$(BROWSER) --quick

test-all: setup-dev ## Run every test on both databases
	@deploy/setup.sh browser
	$(MEASURED)
	$(BROWSER)

soak: setup-dev ## Run the long form of each test that has one, on both databases
	$(BIN)/python -m pytest --soak -m soak

lint: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/djlint --lint --quiet templates
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.secret_scan

check: lint test ## Run everything that must hold before a change is taken
	$(BIN)/coverage report --fail-under=95

audit: setup-dev ## Ask the network whether a dependency has a known vulnerability
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r deploy/requirements.lock
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r deploy/requirements-dev.lock

mutants: setup-dev ## Break the code in small ways and see which tests notice (EVERY=10 takes a tenth)
	$(BIN)/python -m tests.mutants --every $(or $(EVERY),1)

bench: setup-dev ## Measure how fast it is, beside the least that a machine has to do
	$(BIN)/python bench/run.py

bench-full: MINUTES ?= 10
bench-full: setup-dev ## All its parts, those with many rows and of minutes under load among them
	$(BIN)/python bench/run.py --full --minutes $(MINUTES)

lock: setup-dev ## Make both locks again (UPGRADE=1 takes newer versions)
	$(COMPILE) deploy/requirements.in --output-file deploy/requirements.lock
	$(COMPILE) deploy/requirements-dev.in --output-file deploy/requirements-dev.lock

messages: setup-dev ## Bring the catalogs of texts up to date; then translate what is empty
	$(BIN)/pybabel -q extract -F pyproject.toml --no-location --sort-output --omit-header \
		--no-wrap -o app/translations/messages.pot .
	$(BIN)/pybabel -q update -i app/translations/messages.pot -d app/translations --no-wrap \
		--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	$(BIN)/pybabel -q compile -d app/translations

format: setup-dev ## Bring the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
