# make demo: the comparison of the README, from nothing to its table and figure.
# make test, make test-slow, make lint: the checks.
# make test-lowest: make test with the lowest versions that setup.cfg allows, in an environment of its own.
# make bench: the speed beside PyTorch, in 4 minutes.  make bench-full: all of docs/performance.md, in hours.
PYTHON ?= python3
DEMO := experiments/score_functions.py
BIN := .venv/bin
READY := .venv/ready
LOWEST := .venv-lowest
PYTEST := $(BIN)/pytest --numprocesses auto --maxprocesses 8 --dist loadfile
TORCH := .venv/ready-bench
# Packages are compiled when they are first imported, which is quicker than when they are installed.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: demo test test-slow test-lowest lint bench bench-full

demo: $(READY)
	@$(BIN)/attn-research sweep $(DEMO)
	@$(BIN)/attn-research table $(DEMO)
	@$(BIN)/attn-research figure $(DEMO)

test: $(READY)
	$(PYTEST) -m "not slow"

test-slow: $(READY)
	$(PYTEST) --dist load -m slow

test-lowest: $(LOWEST)/ready
	$(LOWEST)/bin/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile -m "not slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(READY) $(TORCH)
	@$(BIN)/python -m benchmarks.run

bench-full: $(READY) $(TORCH)
	@$(BIN)/python -m benchmarks.run --full

$(READY): requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, but $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "Installing into .venv, which takes a minute ..."
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --no-deps --requirement requirements.lock --editable .
	@touch $@

$(LOWEST)/ready: requirements-lowest.lock setup.cfg pyproject.toml
	@echo "Installing the lowest versions into $(LOWEST), which takes a minute ..."
	@test -x $(LOWEST)/bin/pip || $(PYTHON) -m venv $(LOWEST)
	@$(LOWEST)/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps --requirement requirements-lowest.lock --editable .
	@touch $@

$(TORCH): $(READY)
	@echo "Installing PyTorch into .venv, which takes a minute or more ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint requirements.lock --editable '.[bench]' \
		&& touch $@ || echo "PyTorch could not be installed, so its sides are left out."
