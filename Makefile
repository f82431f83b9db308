# `make test` and `make demo` set everything up in .venv first; a second run installs nothing.
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help venv test lint types dry-run smoke docs chaos demo clean

help:
	@echo "make test    set up .venv, then lint, check types, run the tests"
	@echo "make demo    set up .venv, then run all steps of DetNAS on a small data set"
	@echo "make chaos   kill trainings and searches 100 times, resume them, compare the results"
	@echo "make venv    only set up .venv (from PYTHON, now $(PYTHON))"
	@echo "make docs    build the documentation in build/docs"
	@echo "make lint    ruff;  make types   mypy;  make dry-run   a tiny step of every config"
	@echo "make smoke   every benchmark, tool and project script at a size of seconds"
	@echo "make clean   remove .venv, caches and build folders; output/ and datasets/ stay"

venv: $(STAMP)

# Without build isolation, what has to be built (fvcore, iopath, antlr4, Detectron2) is built with
# the setuptools and torch of constraints.txt.
$(STAMP): setup.cfg constraints.txt tools/install_detectron2.py
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt setuptools wheel
	$(PIP) install --quiet -c constraints.txt --no-build-isolation --editable '.[demo,test,lint]'
	$(BIN)/python tools/install_detectron2.py
	touch $@

# A file's tests share what they have trained, so a file goes to one process.
test: lint types
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
		--no-loadscope-reorder

lint: venv
	$(BIN)/ruff check .

types: venv
	$(BIN)/mypy
	$(BIN)/mypy train_net.py

dry-run: venv
	$(BIN)/python -m pytest tests/integration/test_dry_run.py -q

smoke: venv
	$(BIN)/python -m pytest tests/tools tests/projects $(addprefix tests/integration/test_,\
		chaos.py custom.py reproduce.py run_steps.py yacs.py)

docs: venv
	$(BIN)/python -m sphinx -W --keep-going -n docs build/docs

chaos: venv
	$(BIN)/python tools/chaos.py

demo: venv
	$(BIN)/python tools/run_steps.py demo

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
