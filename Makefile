# make demo         trains three seeds of the README's first table, compares them with it and draws the figure
# make test         runs the tests; about 5 minutes on 2 cores
# make test-slow    runs the laws with every option, and the long tests
# make test-lowest  runs the tests with the lowest versions that setup.cfg allows, in its own environment
# make lint         checks style and format
# make papers       trains what is missing of the papers' tables in docs/papers.md, and continues where it stopped
# make bench        measures the speed in comparison with PyTorch, in 4 minutes
# make bench-full   measures everything in docs/performance.md again, in hours
PYTHON ?= python3
DEMO := experiments/score_functions.py
# In the order in which they are trained. Table 6 of Luong et al. needs no run beyond those of Table 4.
PAPERS := bahdanau2015_length luong2015_table4 luong2015_table6 toshniwal2016_g2p vaswani2017_scaling \
	bentrevett_multi30k wucotterell2019 chorowski2015_repeat sigmorphon2020_lstm luong2015_table1 multi30k_scores
BIN := .venv/bin
READY := .venv/ready
LOWEST := .venv-lowest
PYTEST := $(BIN)/pytest --numprocesses auto --maxprocesses 8 --dist loadfile
TORCH := .venv/ready-bench
# Python compiles packages to bytecode at their first import. Compiling all of them at installation takes longer.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: demo test test-slow test-lowest lint papers bench bench-full

demo: $(READY)
	@$(BIN)/attn-research sweep $(DEMO) --seeds 3
	@$(BIN)/attn-research table $(DEMO) --seeds 3 --verify
	@$(BIN)/attn-research figure $(DEMO) --seeds 3

test: $(READY)
	$(PYTEST) -m "not slow"

test-slow: $(READY)
	$(PYTEST) --dist load -m slow

test-lowest: $(LOWEST)/ready
	$(LOWEST)/bin/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile -m "not slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A failed experiment does not stop the others.
papers: $(READY)
	@status=0; for name in $(PAPERS); do \
		$(BIN)/attn-research sweep experiments/$$name.py; code=$$?; \
		case $$code in 0) ;; 129|130|143) exit $$code;; *) status=1;; esac; \
	done; exit $$status

bench: $(READY) $(TORCH)
	@$(BIN)/python -m benchmarks.run

bench-full: $(READY) $(TORCH)
	@$(BIN)/python -m benchmarks.run --full

$(READY): requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("attn-research requires Python 3.11 or newer, but $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "Installing into .venv. This takes a minute ..."
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --no-deps --requirement requirements.lock --editable .
	@touch $@

$(LOWEST)/ready: requirements-lowest.lock setup.cfg pyproject.toml
	@echo "Installing the lowest versions into $(LOWEST). This takes a minute ..."
	@test -x $(LOWEST)/bin/pip || $(PYTHON) -m venv $(LOWEST)
	@$(LOWEST)/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps --requirement requirements-lowest.lock --editable .
	@touch $@

$(TORCH): $(READY)
	@echo "Installing PyTorch into .venv. This takes a minute or more ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint requirements.lock --editable '.[bench]' \
		&& touch $@ || echo "PyTorch cannot be installed. The benchmarks run without it."
