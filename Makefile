# PYTHON makes the environment; everything else runs inside it.
PYTHON ?= python3
VENV ?= .venv
SEEDS ?= 0 2000
RUN := $(VENV)/bin/python

.PHONY: quick test gpu fuzz planted bench demo lint environment clean help
.DEFAULT_GOAL := help

help:
	@echo "make test         all tests, in an environment made on first use (.venv)"
	@echo "make gpu          Triton kernels in Triton's interpreter, and compiled for a GPU that need not be there"
	@echo "make quick        lint and the tests that guard every commit"
	@echo "make bench        ratios to the libraries that people would otherwise call: bench/RESULTS.md"
	@echo "make demo         programs on real data beside NumPy and torch: one table, and pictures in demo/out"
	@echo "make fuzz         2,000 random programs at every height, and as many dependent bodies (SEEDS='0 2000')"
	@echo "make planted      bugs planted one at a time: which tests find each"

environment: $(VENV)/ready

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

lint: environment
	$(VENV)/bin/ruff check einfall tests bench demo

quick: lint
	$(RUN) -m pytest -n 2 -m "not slow" tests

test: lint
	$(RUN) -m pytest -n 2 tests

# Triton has an environment of its own: its interpreter needs an older NumPy, and nothing else needs Triton.
$(VENV)-gpu/ready:
	$(PYTHON) -m venv $(VENV)-gpu
	$(VENV)-gpu/bin/pip install --quiet --disable-pip-version-check 'triton==3.6.0' 'numpy<2.4'
	touch $@

gpu: environment $(VENV)-gpu/ready
	EINFALL_TRITON_PYTHON=$(abspath $(VENV))-gpu/bin/python $(RUN) -m pytest -n 2 tests/target/test_triton.py

bench: environment
	$(VENV)/bin/pip install --quiet --disable-pip-version-check 'torch>=2.4' 'scipy>=1.13'
	$(RUN) -m bench.run

# torch and scikit-learn are large, so that only the demo waits for them.
$(VENV)/ready-for-demo: $(VENV)/ready
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[demo]'
	touch $@

demo: $(VENV)/ready-for-demo
	$(RUN) -m demo

fuzz: environment
	$(RUN) -m tests.differential.fuzz $(SEEDS)
	$(RUN) -m tests.derive.bodies $(SEEDS)

planted: environment
	$(RUN) -m tests.planted

clean:
	rm -rf $(VENV) $(VENV)-gpu build dist *.egg-info demo/out
