# Each target sets up what it needs, says what it does, and may be run by itself.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
VENDOR := .stamps/vendor
WORKERS ?= 2
LISTS ?= main
# One thread a process: the checks keep both cores busy with processes.
export OMP_NUM_THREADS ?= 1
# A page that is built wants no progress bars.
export TQDM_DISABLE := 1

.PHONY: help setup book serve notebooks student instructor student-check instructor-check figures colab-check links newest publish-to test lint unit site data checkpoints pretrained grid results gpu-check bench lock clean

help: ## list the targets
	@echo "make book builds the site, make test checks everything. All targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | sort | \
		awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

setup: $(READY) ## make .venv from requirements.lock, with the library in it

$(BIN)/python:
	@echo "== Making the virtual environment .venv"
	tools/system.sh venv "$(PYTHON)" .venv

$(READY): requirements.lock pyproject.toml | $(BIN)/python
	@echo "== Installing requirements.lock and the library into .venv (some minutes)"
	@# A current pip that leaves compiling to the first import takes a third of the time.
	$(BIN)/python -m pip install -q --disable-pip-version-check "pip>=26"
	$(BIN)/python -m pip install -q --no-compile -r requirements.lock
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --no-deps -e .
	@touch $@

$(VENDOR): package.json package-lock.json tools/vendor.py $(READY)
	@echo "== Fetching the scripts that the site carries (package-lock.json)"
	$(BIN)/python tools/vendor.py
	@mkdir -p $(@D) && touch $@

# Sphinx copies a changed style sheet only when some page is read again.
.stamps/static: _config.yml $(wildcard book/_static/*.*) $(VENDOR) _toc.yml book/contents.yml \
		book/appendix/glossary.md tools/book_extension.py tools/pages.py
	@rm -rf _build/.doctrees
	@touch $@

book: notebooks .stamps/static ## build the site into _build/html, warnings being errors
	@echo "== Building the site"
	@# A failed build forgets what it read: read again, a page repeats its warnings.
	@$(BIN)/jupyter-book build . -W -n --keep-going -q || \
		{ rm -rf _build/.doctrees; echo "The book did not build."; exit 1; }
	@echo "The book: $(CURDIR)/_build/html/index.html"

serve: book ## build the site and serve it at http://127.0.0.1:8000
	@echo "== Serving _build/html at http://127.0.0.1:8000 (Ctrl-C ends it)"
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

notebooks: $(READY) ## run the chapters whose code, library or data changed
	@echo "== Running the chapters that need it"
	@$(BIN)/python tools/execute.py --workers $(WORKERS)

student: $(READY) ## write the students' notebooks, without solutions, into build/student
	@$(BIN)/python tools/student.py student

instructor: $(READY) ## write the instructors' notebooks, with solutions, into build/instructor
	@$(BIN)/python tools/student.py instructor

student-check: $(READY) ## run each student's notebook up to its first exercise
	@echo "== Running the students' notebooks up to their first exercise"
	@$(BIN)/python tools/student.py check --workers $(WORKERS)

instructor-check: instructor ## run the instructors' notebooks to their end, if not yet run
	@echo "== Running the instructors' notebooks that need it"
	@find build/instructor -name '*.ipynb' | sort | \
		xargs $(BIN)/python tools/execute.py --workers $(WORKERS)

test: lint unit book site ## run all checks; continuous integration adds colab-check

lint: $(READY) ## check style (ruff), types (mypy) and spelling (codespell)
	@echo "== Style, types and spelling"
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell

unit: $(READY) ## test the library, the notebooks' structure and the tools
	@echo "== Tests, with the coverage of lgdcnn_lib"
	$(BIN)/pytest -n $(WORKERS) -m "not site" --cov

site: $(VENDOR) ## test the built site, in Chromium too (make book first)
	@echo "== Tests of the built site"
	@tools/system.sh chromium
	$(BIN)/pytest -n $(WORKERS) -m site

figures: $(READY) ## export all figures as SVG and PNG, with captions, into build/figures
	@echo "== Running the chapters whose figures are not there yet"
	@$(BIN)/python tools/figures.py --workers $(WORKERS)

colab-check: $(READY) ## run set-up cell and first chapter in an imitation of Colab
	@echo "== Imitating Colab (a minute)"
	@$(BIN)/python tools/colab_check.py

links: $(READY) ## ask every address that the built site links to (make book first)
	@$(BIN)/python tools/links.py

newest: ## run the tests against the newest releases, in .venv-newest
	@echo "== Making .venv-newest with the newest releases"
	tools/system.sh venv "$(PYTHON)" .venv-newest
	.venv-newest/bin/python -m pip install -q --upgrade uv  # pip's resolver takes half an hour
	@# Without the pins, but with the bounds that say why (Sphinx, Jupyter Book).
	sed 's/==[^ ]*//' requirements.in > .venv-newest/requirements.in
	.venv-newest/bin/uv pip install -q --python .venv-newest --upgrade \
		-r .venv-newest/requirements.in -e .
	.venv-newest/bin/pytest -n $(WORKERS) -m "not site"

publish-to: $(READY) ## write the address of the public repository everywhere (URL=…)
	@$(BIN)/python tools/publish.py "$(URL)"

data: $(READY) ## rebuild data/ from its sources and prove the checksums
	@echo "== Rebuilding data/"
	$(BIN)/python data/build.py

checkpoints: $(READY) ## train the nine networks of data/checkpoints anew (three hours of a core)
	@echo "== Training the networks of data/checkpoints, one after the other"
	$(BIN)/python tools/cecv_study.py --again checkpoints

pretrained: $(READY) ## train the network of data/pretrained anew (1.5 hours of a core)
	@echo "== Training on the formation enthalpies of OQMD"
	$(BIN)/python tools/pretrain.py

grid: $(READY) ## run the experiments that have no row yet (days; LISTS=main by default)
	@echo "== Running the experiments; a finished run has its row in data/results at once"
	$(BIN)/python tools/grid.py $(LISTS) --jobs $(WORKERS)

results: notebooks figures ## make every table and figure anew from the rows of data/results

gpu-check: $(READY) ## check on a CUDA GPU what tests elsewhere cannot see
	$(BIN)/python tools/gpu_check.py

bench: $(READY) ## measure speed and memory (eight minutes, on an idle machine)
	@echo "== Measuring, into data/results/bench.csv"
	$(BIN)/python tools/bench.py

lock: $(READY) ## pin requirements.in anew in requirements.lock (UPGRADE=--upgrade)
	@echo "== Resolving requirements.in"
	$(BIN)/python tools/lock.py $(UPGRADE)

clean: ## remove what was built; .venv and the data stay
	@echo "== Removing _build and caches"
	rm -rf _build build .stamps node_modules book/_static/vendor .coverage* \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis
