# Each target first installs what it needs in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
# One test process per core, each with one torch thread. The code blocks of a page need each other, so
# a file stays in one process. The order of pyproject.toml is kept: it has the longest files first.
TEST_OPTIONS ?= -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test fuzz lint types docs docs-check bench format clean

demo: $(VENV)/.demo
	$(BIN)/python -m sklearn_usps train

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TEST_OPTIONS)
	SKLEARN_USPS_TEST_GPU=1 $(BIN)/python -m pytest -rs tests/gpu

# Tests of untrusted input and of faults with twenty times the random examples of `make test`, new ones in each
# run: five minutes to half an hour.
fuzz: $(VENV)/.dev
	OMP_NUM_THREADS=1 SKLEARN_USPS_FUZZ_FACTOR=20 $(BIN)/python -m pytest $(TEST_OPTIONS) \
	    --hypothesis-show-statistics tests/hostile tests/faults tests/datasets/test_usps.py \
	    tests/persistence/test_model_files.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.dev
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

# Opens the pages in Chromium, checks the links and saves screenshots.
docs-check: docs
	$(BIN)/python docs/check_pages.py

# Takes about four hours on an idle machine; other programs falsify the times.
bench: $(VENV)/.bench
	for part in overhead time_to_error predict scaling n_jobs search accuracy few_images frontier \
	    multitask own_pictures drawings; do \
	    $(BIN)/python benchmarks/bench_$$part.py || exit 1; \
	done
	$(BIN)/python benchmarks/report.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt --editable ".[plot,draw]"
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

$(VENV)/.bench: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt --editable ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) docs/_build docs/auto_examples docs/generated docs/sg_execution_times.rst build *.egg-info .pytest_cache .mypy_cache .ruff_cache
