# `make run` starts the site, `make test` runs every test; `make help` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
# Taken from the command line only (make run HOST=0.0.0.0): many shells and tools set a variable
# HOST of their own, and that must not open the site to the network.
HOST := 127.0.0.1
PORT ?= 8000
export HOST PORT

# The folders that people write Python in.
SOURCES := manage.py recognizer webemotion scripts tests

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--no-emit-index-url --generate-hashes --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

# Without warnings: pip warns about each index of its configuration that lacks a package.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes

.DELETE_ON_ERROR:
.PHONY: help run train test lint format bench messages lock clean

help: ## List what this file can do
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

run: $(VENV)/serve.stamp ## Start the site on http://127.0.0.1:8000 (HOST=, PORT=, PYTHON=)
	@$(BIN)/python scripts/run.py

# glibc gives every large buffer back at once and asks for it again at the next step: a tenth of
# the time and more. With these it keeps them.
train: export MALLOC_MMAP_THRESHOLD_ = 4294967296
train: export MALLOC_TRIM_THRESHOLD_ = 17179869184
# With the tests' packages, since scikit-image brings photos: crops of them teach the head for
# "no face" (ARGS="--backgrounds DIR" takes others).
train: $(VENV)/dev.stamp ## Train the default model again (FER2013=fer2013.csv FERPLUS=fer2013new.csv)
	@test -n "$(FER2013)" -a -n "$(FERPLUS)" || { echo "Name the data set: make train FER2013=fer2013.csv FERPLUS=fer2013new.csv" >&2; exit 2; }
	@$(BIN)/python manage.py train "$(FER2013)" --ferplus "$(FERPLUS)" \
		--config recognizer/training/configs/resnet9-ferplus.toml \
		--backgrounds $(VENV)/lib/python3*/site-packages/skimage/data $(ARGS)

test: $(VENV)/dev.stamp ## Run every test (ARGS="tests/vision -k crop" for some of them)
	@$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=8 --dist=loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/dev.stamp ## Check style, types, imports and migrations
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	PUBLIC_URL=https://example.org $(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(VENV)/dev.stamp ## Put the code in order
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(VENV)/dev.stamp ## Measure everything against what it replaces (ARGS="--only detection")
	@$(BIN)/python -m scripts.bench $(ARGS)

lock: $(VENV)/dev.stamp ## Pin the requirements again (UPGRADE=1 for the newest versions)
	$(LOCK) requirements-dev.in -o requirements-dev.txt
	$(LOCK) requirements.in -c requirements-dev.txt -o requirements.txt
	$(LOCK) requirements-serve.in -c requirements-dev.txt -o requirements-serve.txt

clean: ## Remove the virtual environment and the caches; keeps var/, where the photos are
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@scripts/make-venv $(VENV) $(PYTHON)

$(VENV)/serve.stamp: requirements-serve.txt | $(BIN)/python
	@echo "Installing what the site needs into $(VENV) (about 160 MB to download the first time)..."
	@$(INSTALL) -r $<
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt | $(BIN)/python
	@echo "Installing what training and tests need into $(VENV) (TensorFlow included; about 920 MB to download the first time)..."
	@$(INSTALL) -r $<
	@touch $@
