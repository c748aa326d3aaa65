# The two commands of the README, and their parts. Everything is installed into $(VENV);
# a stamp file says that an install was done, so a second run starts at once.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PYTEST_ARGS ?= -n 2

.PHONY: demo test lint format bench examples gpu gpu-sanitize clean
.DELETE_ON_ERROR:

demo: $(VENV)/.stamp-demo
	$(BIN)/python examples/digits.py

test: lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.stamp-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.stamp-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.stamp-bench
	$(BIN)/python benchmarks/run.py

# The examples in full, held to the figures that they state: half an hour.
examples: $(VENV)/.stamp-test
	FUNCGRAD_FULL_EXAMPLES=1 $(BIN)/python -m pytest -q tests/examples

# Where there is an NVIDIA GPU: what is missing, the tests on it, the times beside other libraries.
# Tests that no GPU changes are those of `make test`. A test that fails does not stop the benchmark.
GPU_TESTS := $(addprefix tests/kernels/cuda/test_,device.py matmuls.py runtime.py interchange.py meshes.py)
# `make gpu GPU_PYTHON=python3` takes a Python as it is, where nothing can be installed.
GPU_PYTHON ?=
GPU_STAMP := $(if $(GPU_PYTHON),,$(VENV)/.stamp-gpu)
GPU_INSTALL := $(if $(GPU_PYTHON),true,$(MAKE) $(VENV)/.stamp-gpu)
GPU_ENV := $(if $(GPU_PYTHON),env PYTHONPATH=$(CURDIR)/src:$$PYTHONPATH)
GPU_RUN := $(or $(GPU_PYTHON),$(BIN)/python)
gpu: $(GPU_STAMP)
	$(GPU_ENV) $(GPU_RUN) -m funcgrad doctor
	@wrong=0; \
	$(GPU_ENV) timeout 170 $(GPU_RUN) -m pytest -q -n 4 $(GPU_TESTS) || wrong=1; \
	$(GPU_ENV) $(GPU_RUN) benchmarks/gpu.py --seconds 300 || wrong=1; \
	exit $$wrong

# The tests on the device under NVIDIA's compute-sanitizer: reads and writes out of bounds, races.
gpu-sanitize:
	@if command -v compute-sanitizer >/dev/null; then \
	  $(GPU_INSTALL) || exit 1; \
	  for tool in memcheck racecheck; do \
	    $(GPU_ENV) compute-sanitizer --tool $$tool --error-exitcode 1 $(GPU_RUN) -m pytest -q tests/kernels/cuda/test_device.py || exit 1; \
	  done; \
	else \
	  echo "compute-sanitizer is not installed: nothing was checked. It comes with NVIDIA's CUDA toolkit (package cuda-sanitizer)."; \
	fi

clean:
	rm -rf $(VENV)

$(VENV)/.stamp-demo: EXTRAS = examples
$(VENV)/.stamp-test: EXTRAS = dev,examples
$(VENV)/.stamp-bench: EXTRAS = bench,plot
$(VENV)/.stamp-gpu: EXTRAS = dev,cudnn13

$(VENV)/.stamp-%: pyproject.toml | $(VENV)/.stamp-venv
	@echo "Installing funcgrad[$(EXTRAS)] into $(VENV); the first time this takes some minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@

# An environment that is there and has pip is taken as it is.
$(VENV)/.stamp-venv:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no $(PYTHON). Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "funcgrad needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || { \
	  echo "$(PYTHON) could not make $(VENV). On Debian and Ubuntu, install the package python3-venv." >&2; exit 1; }
	@touch $@
