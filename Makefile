# PYTHON makes the environment; everything else runs inside it.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python

.PHONY: quick test lint environment clean
.DEFAULT_GOAL := help

help:
	@echo "make test         all tests, in an environment made on first use (.venv)"
	@echo "make quick        lint and the tests that guard every commit"

environment: $(VENV)/ready

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

lint: environment
	$(VENV)/bin/ruff check einfall tests

quick: lint
	$(RUN) -m pytest -n 2 -m "not slow" tests

test: lint
	$(RUN) -m pytest -n 2 tests

clean:
	rm -rf $(VENV) build dist *.egg-info
