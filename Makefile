# The one entry point: `make lab` opens the lab, `make test` proves it.

# The first Python that is new enough; `make lab PYTHON=python3.12` chooses another. Where none
# is, python3, which then says so.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; \
	done; echo python3)
endif
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)

# Set for other projects, these would lead this one's Python to their packages.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help lab demo course test lint bench pythons clean setup setup-test python

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

lab: setup  ## open the lab in JupyterLab
	@$(BIN)/python -m labkit lab

demo: setup  ## run the first notebook without a browser, and write demo.html
	@$(BIN)/python -m labkit.report --output demo.html

course: setup  ## run all notebooks, and write them as pages to read in course/
	@$(BIN)/python -m labkit course course --html

test: lint  ## lint, types and all tests
	@$(BIN)/python -m pytest -n 5 --dist loadscope --no-loadscope-reorder

lint: setup-test  ## style, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: setup-test  ## measure, side by side with named peers
	@$(BIN)/python -m benchmarks

pythons:  ## run the quick tests on every Python here, and on the lowest versions of the libraries
	@"$(PYTHON)" -m tests.pythons

clean:  ## remove what the other targets made in this folder
	rm -rf .venv .venv.lock .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist test-artifacts demo.html course
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: python
	@"$(PYTHON)" bootstrap.py

setup-test: python
	@"$(PYTHON)" bootstrap.py test dev

python:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "There is no $(PYTHON) here. The lab needs Python 3.11 or later."; \
	  echo "Next (Debian, Ubuntu): sudo apt install python3 python3-venv"; \
	  echo "     (others):         https://www.python.org/downloads"; exit 1; }
