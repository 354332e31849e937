# Thin lines over `tlhelpers` and pytest; docs/using.md has the commands without make.
PYTHON ?= python3
VENV   := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
SETUP := $(VENV)/.course-installed
TESTS := $(VENV)/.tests-installed
SINCE ?= HEAD
NN    ?= all
SITE  := $(VENV)/.site-installed
TEACH := $(VENV)/.teach-installed
HUB   := $(VENV)/.hub-installed
PIP   := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -c constraints.txt
# PyTorch's builds for the CPU, 2.5 GB instead of 7: make course TORCH_INDEX=ADDRESS; docs/using.md
# says where the address stands.
ifdef TORCH_INDEX
PIP   += --extra-index-url $(TORCH_INDEX)
endif

.PHONY: course lab site student slides assignment hub test test-changed test-colab test-gpu bench study doctor publish badges constraints clean

course: $(SETUP)        ## run every notebook: build/course/index.html
	$(BIN)/tlhelpers run --out build/course

lab: $(SETUP)           ## open the first notebook in JupyterLab
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

site: $(SITE)           ## the course as web pages: build/site/index.html
	$(BIN)/python docs/site/pages.py build/site

student: $(SETUP)       ## copies for a class: build/class/student and /instructor
	$(BIN)/python docs/teaching/copies.py build/class

slides: $(TEACH)        ## a deck per lesson, without network: build/slides
	$(BIN)/python docs/teaching/slides.py build/slides

assignment: $(TEACH)    ## the exercises for nbgrader: build/assignment
	$(BIN)/python docs/teaching/assignment.py build/assignment

hub: $(HUB)             ## JupyterHub for a class: deploy/jupyterhub/README.md
	$(BIN)/jupyterhub -f deploy/jupyterhub/jupyterhub_config.py

test: $(TESTS) $(SITE) $(TEACH) $(HUB)  ## the tests, offline, CPU
	$(BIN)/python -m pytest -m "not notebooks and not versions" -n 2 --dist loadgroup
	$(BIN)/python -m pytest -m notebooks

test-changed: $(TESTS) $(SITE) $(TEACH) $(HUB)  ## only what differs from SINCE can affect (HEAD)
	$(BIN)/python -m pytest --changed $(SINCE) -m "not notebooks and not versions" -n 2 --dist loadgroup
	$(BIN)/python -m pytest --changed $(SINCE) -m notebooks

test-colab: $(TESTS)    ## every notebook on the oldest versions that Colab has; online
	$(BIN)/python -m pytest -m versions tests/test_colab.py

test-gpu: $(TESTS)      ## every notebook on CUDA; fails where no GPU was used
	$(BIN)/python -m pytest -m gpu tests/test_gpu.py --require-gpu

bench: $(TESTS)         ## the promises of docs/benchmarks.md, measured
	$(BIN)/python tests/benchmarks/measure.py

study: $(TESTS)         ## expected ranges: make study NN=01, or of all; goes on where it stopped
	$(BIN)/tlhelpers study $(NN) --seeds 10
	$(BIN)/python docs/site/publish.py ranges

doctor: $(SETUP)        ## check this machine
	$(BIN)/tlhelpers doctor

publish: $(SETUP)       ## keep the run in build/course: outputs, headers, README table
	$(BIN)/python docs/site/publish.py run build/course
	$(BIN)/python docs/images/keep_result.py

badges: $(SETUP)        ## make badges REPO=owner/name
	$(BIN)/python docs/site/publish.py repository $(REPO)

constraints: $(TESTS)   ## write the versions that are installed to constraints.txt
	$(BIN)/python tests/write_constraints.py

clean:
	rm -rf build $(VENV)

# The stamps make a second run install nothing, so it needs no network.
$(SETUP): pyproject.toml constraints.txt | $(BIN)
	$(PIP) -e ".[lab,run,serve,export]"
	@echo installed > $@

$(TESTS): $(SETUP)
	$(PIP) -e ".[test]"
	@echo installed > $@

$(SITE): $(SETUP)
	$(PIP) -e ".[site]"
	@echo installed > $@

$(TEACH): $(SETUP)
	$(PIP) -e ".[teach]"
	@echo installed > $@

$(HUB): $(SETUP)
	$(PIP) -e ".[hub]"
	@echo installed > $@

$(BIN):
	$(PYTHON) -c "import sys; sys.exit('Python 3.10 or newer is needed, this is ' + sys.version.split()[0] if sys.version_info < (3, 10) else 0)"
	$(PYTHON) -m venv $(VENV)
