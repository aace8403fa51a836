# Everything needs only python3 (3.11 or newer, with venv and pip) and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One more than there are cores: tests that start servers wait for them half of their time.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 1)' 2>/dev/null || echo auto)

# Hashes are checked and nothing is compiled; where packages come from is for the user's pip configuration to say.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps
LOCKED := $(INSTALL) --require-hashes --only-binary :all:

RUN := $(VENV)/.run
DEV := $(VENV)/.dev
# Releases of SDKs that cannot be installed beside newer ones.
OLDER := $(VENV)/older
AGAIN := tests/contract/retell/test_older_sdk.py
SAID_ALREADY := contract/test_isolation.py contract/test_npm_sdk.py contract/retell/test_older_sdk.py \
	contract/retell/test_openapi.py e2e/test_chaos.py e2e/test_demo.py e2e/test_limits.py e2e/test_workers.py
PURE := core assistant examination
COVERED := */vivavoce/core/*,*/vivavoce/assistant/*,*/vivavoce/examination/*
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder -rs

export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# The tests start many servers; each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-older test-postgresql check docs format bench lists chaos lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-17s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUN) ## everything in one go: a sample assistant, its suite, the verdicts (ARGS="..." goes to viva demo)
	$(BIN)/viva demo $(ARGS)

# Watching each branch takes nearly as long as the tests themselves, so it is done where every branch has to be seen.
test: $(DEV) ## every test, with core, assistant and examination covered to the last branch by their own tests
	$(PYTEST) --cov --cov-report= $(addprefix tests/,$(PURE))
	$(BIN)/coverage report --include='$(COVERED)' --show-missing --skip-covered --fail-under=100
	$(PYTEST) $(addprefix --ignore=tests/,$(PURE)) --ignore=$(AGAIN) $(ARGS)

# Storage and engine run on both above; services, and what starts servers, on SQLite above and once more here. Left out
# is what `test` has on PostgreSQL already, and what says the same of another client or takes long to say it again.
test-postgresql: $(DEV) ## the tests of services and servers once more, on PostgreSQL
	VIVA_TEST_SERVE=postgresql $(PYTEST) tests/services tests/contract \
		tests/e2e $(addprefix --ignore=tests/,$(SAID_ALREADY))

test-older: $(DEV) ## what an SDK can do once more, with an older release of it
	$(PYTEST) $(AGAIN)

check: $(DEV) docs ## lint, format, types, import arrows, locks, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	@! grep -nE '://|^ *-[^-]|--(index|extra|find)' requirements/*.txt || { echo 'a lock names a registry' >&2; exit 1; }
	@! grep -nE '"resolved"|://' tests/npm/package-lock.json || { echo 'the npm lock names a registry' >&2; exit 1; }

docs: $(DEV) ## the documentation as a site, in build/docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky -b html -d build/doctrees docs build/docs
	@! grep -rnE '<(script|img|iframe)[^>]* src="(https?:)?//|<link[^>]* href="(https?:)?//|(@import|url\() *.?(https?:)?//' \
		build/docs --include='*.html' --include='*.css' || { echo 'a page fetches something from elsewhere' >&2; exit 1; }

format: $(DEV) ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV) ## the measurements (ARGS="..." goes to bench/conversations.py)
	$(BIN)/python -m bench.conversations $(ARGS)

chaos: $(DEV) ## two minutes of kills, cuts and a failing provider (ARGS="..." goes to tests/chaos)
	$(BIN)/python -m tests.chaos $(ARGS)

lists: $(DEV) ## how long lists take with a million runs stored (ARGS="..." goes to bench/lists.py)
	$(BIN)/python -m bench.lists $(ARGS)

# Versions that still fit are kept; `make lock UPGRADE=--upgrade` takes newer ones. A release has to be a week old:
# that is how long a stolen account usually stays unnoticed.
WEEK_AGO = $$($(PYTHON) -c 'import datetime as d; print((d.datetime.now(d.timezone.utc) - d.timedelta(days=7)).date())')
COMPILE = $(BIN)/uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes \
	--only-binary :all: --exclude-newer "$(WEEK_AGO)" $(UPGRADE)

lock: $(DEV) ## write requirements/*.txt and the npm lock anew
	$(COMPILE) pyproject.toml -o requirements/run.txt
	$(COMPILE) pyproject.toml -c requirements/run.txt --extra providers -o requirements/providers.txt
	$(COMPILE) pyproject.toml -c requirements/run.txt --extra telemetry -o requirements/telemetry.txt
	$(COMPILE) --group build -c requirements/run.txt -o requirements/build.txt
	$(COMPILE) pyproject.toml --group dev -c requirements/run.txt -c requirements/build.txt -c requirements/providers.txt -c requirements/telemetry.txt \
		-o requirements/dev.txt
	$(COMPILE) --group older --no-deps -o requirements/older.txt
	if command -v npm >/dev/null; then cd tests/npm && npm install --package-lock-only --ignore-scripts; fi

clean: ## remove what was installed, built and measured
	rm -rf $(VENV) .demo build dist .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis .import_linter_cache \
		.schemathesis tests/npm/node_modules
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed (make PYTHON=python3.12 ...)" or 0)'
	$(PYTHON) -m venv $(VENV)

$(RUN): requirements/run.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo 'installing what viva needs into $(VENV)'
	@$(LOCKED) -r requirements/run.txt -r requirements/build.txt
	@$(INSTALL) --no-index --no-build-isolation --editable .
	@touch $@

$(DEV): requirements/dev.txt requirements/older.txt $(RUN)
	@echo 'installing what the tests need into $(VENV)'
	@$(LOCKED) -r requirements/dev.txt
	@$(LOCKED) --upgrade --target $(OLDER) -r requirements/older.txt
	@touch $@
