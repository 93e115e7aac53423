# Every target makes the virtual environment it needs, so each works in a fresh clone.
#   make demo        train a compact policy for Swimmer-v5, results in runs/demo
#   make test        the quick tests and the examples in the docstrings
#   make test-full   all tests, the slow ones too
#   make check       lint, format and types
#   make format      rewrite the code in the project's format
#   make docs        build the documentation into site/
#   make clean       remove the environment, the demo's run, caches and builds
# Another interpreter: make PYTHON=python3.12 …

PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
EXTRAS := evolution,sb3,plots,dev

# Ruff does not follow links below the paths it is given, so both links are named. It then sees each
# file once, under the name that it is imported by.
CODE := structured_layers structured_layers/algorithms structured_layers/integrations \
	tests examples benchmarks

# Tests that start Ray share the group "ray" and so run one after the other in one process.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadgroup --doctest-modules structured_layers tests

.PHONY: demo test test-full check lint format format-check types docs clean

demo: $(INSTALLED)
	$(BIN)/structured-layers train Swimmer-v5 --structure chromatic --hidden 0 --num-colors 8 \
		--controller regularized-evolution --no-observation-normalization \
		--total-steps 4_000_000 --num-actors 2 --out runs/demo

test: $(INSTALLED)
	$(PYTEST) -m "not slow"

test-full: $(INSTALLED)
	$(PYTEST)

check: lint format-check types

lint: $(INSTALLED)
	$(BIN)/ruff check $(CODE)

format: $(INSTALLED)
	$(BIN)/ruff format $(CODE)

format-check: $(INSTALLED)
	$(BIN)/ruff format --check $(CODE)

types: $(INSTALLED)
	$(BIN)/mypy

docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) runs/demo site build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find algorithms integrations structured_layers tests examples benchmarks \
		-name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is younger than what it was installed from; a changed dependency installs again.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'Python >= 3.11 is needed, but "$(PYTHON)" is' \
			"$$($(PYTHON) --version 2>&1 || true). Name another one: make PYTHON=python3.12" >&2; \
		exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo 'Installing into $(VENV): the first time takes a few minutes.'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@
