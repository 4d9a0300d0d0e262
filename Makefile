# melgan: from raw medical images to a submission. `make` alone lists what there is.
#
# Any setting of a command is given as a variable: make gan SHARDS=runs/shards WORKDIR=runs/gan TOTAL_STEPS=20000 becomes
# python -m pipelines.train_gan --shards=runs/shards --workdir=runs/gan --total_steps=20000. Some have short names too:
# see ALIASES below. The settings of each command: .venv/bin/python -m pipelines.<command> --help.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS ?= dev
PINS ?= --constraint constraints.txt
TEST_PROCESSES ?= 3

# Variables that are no settings.
OWN = PYTHON VENV BIN READY EXTRAS PINS TEST_PROCESSES ARGS
# Short names of settings, as STEPS=total_steps; each target has its own.
ALIASES =

given = $(foreach v,$(filter-out -% $(OWN),$(.VARIABLES)),$(if $(and $(findstring command line,$(origin $v)),$($v)),$v))
setting = $(or $(patsubst $1=%,%,$(filter $1=%,$(ALIASES))),$(shell echo $1 | tr A-Z a-z))
quoted = '$(subst ','\'',$1)'
flags = $(foreach v,$(given),--$(call setting,$v)=$(call quoted,$($v))) $(ARGS)
command = $(BIN)/python -m pipelines.$(1)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ First
.PHONY: demo
demo: OWN += RUNS WORKDIR
demo: $(READY) ## the whole line on the embedded, drawn data set, minutes on a laptop: [WORKDIR=runs/demo]
	@$(call command,demo) --workdir=$(call quoted,$(or $(WORKDIR),$(or $(RUNS),runs)/demo)) $(flags)

.PHONY: test
test: $(READY) ## the whole test suite, lint included, in TEST_PROCESSES=3 processes
	@$(BIN)/python -m pytest tests --numprocesses $(TEST_PROCESSES) --dist loadfile $(ARGS)

.PHONY: test-oldest
test-oldest: ## the test suite on TensorFlow 2.18, the newest for which there is a TPU runtime, in .venv-oldest
	@$(MAKE) --no-print-directory test VENV=.venv-oldest PINS="'tensorflow==2.18.*' 'tensorboard==2.18.*'"

.PHONY: lint
lint: $(READY) ## style (ruff) and the layers of the packages (import-linter)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-logo

.PHONY: bench
bench: $(READY) ## ratios against the usual recipes, written to docs/benchmarks.md; minutes, on an idle machine; installs PyTorch (gigabytes)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PINS) --editable '.[bench]'
	@$(BIN)/python -m benchmarks

.PHONY: faults
faults: $(READY) ## kills, bad inputs, damaged folders and limits: how many were tried, how many held; [ARGS="--kills=24 --only=TEXT"], minutes
	@$(BIN)/python -m benchmarks.faults $(ARGS)

.PHONY: wheel
wheel: $(READY) ## dist/melgan-VERSION-py3-none-any.whl, for machines without a clone of this repository
	@rm -rf build
	@$(BIN)/python -m pipelines.contract.stored_help
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist $(ARGS) .

.PHONY: docs
docs: $(READY) ## docs/ and the Python API as a site, docs/_build/index.html
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PINS) --editable '.[docs]'
	@$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet $(ARGS) docs docs/_build

.PHONY: venv
venv: $(READY) ## the virtual environment alone; EXTRAS=dev,cuda chooses extras, PYTHON=python3.12 the interpreter

$(READY): setup.py constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; give PYTHON=/path/to/python3.10-3.13"; exit 1; }
	@$(PYTHON) -c 'import sys; ok = (3, 10) <= sys.version_info[:2] <= (3, 13); sys.exit(0 if ok else "error: Python " + sys.version.split()[0] + " is not one of 3.10 to 3.13; give PYTHON=...")'
	@echo "installing into $(VENV) (some minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PINS) --editable '.[$(EXTRAS)]'
	@$(BIN)/python -m pipelines.contract.stored_help
	@touch $@

##@ Commands
.PHONY: shards
shards: $(READY) ## images -> TFRecord shards: SOURCE= INPUT= OUTPUT= [IMAGE_SIZE= FIT= NUM_SHARDS= BOXES= MASKS= ENGINE= ...]
	@$(call command,make_shards) $(flags)

.PHONY: inspect
inspect: OWN += PATHS
inspect: $(READY) ## look into TFRecord files or folders, any: PATHS="a b" [CONTACT_SHEET=x.png VERIFY=true]
	@$(call command,inspect_shards) $(PATHS) $(flags)

.PHONY: gan
gan: OWN += WORKERS
gan: ALIASES = STEPS=total_steps BATCH=global_batch_size
gan: $(READY) ## shards -> generator: SHARDS= WORKDIR= [METHOD= IMAGE_SIZE= STEPS= BATCH= NUM_FOLDS= FOLD= INIT_FROM= WORKERS= ...]
	@$(if $(WORKERS),$(call command,local_workers) --workers=$(WORKERS) --,$(call command,train_gan)) $(flags)

.PHONY: translator
translator: OWN += WORKERS
translator: ALIASES = STEPS=total_steps BATCH=global_batch_size
translator: $(READY) ## shards -> translator of images or masks: SHARDS= WORKDIR= [METHOD=auggan|cyclegan|cut|fastcut|pix2pix TARGET_CLASS= STEPS= NUM_FOLDS= FOLD= ...]
	@$(if $(WORKERS),$(call command,local_workers) --command=train_translator --workers=$(WORKERS) --,$(call command,train_translator)) $(flags)

.PHONY: singan
singan: $(READY) ## shards -> generators of single images: SHARDS= WORKDIR= [LABEL= WORKERS= STEPS_PER_SCALE= WIDTH= ...]
	@$(call command,train_singan) $(flags)

.PHONY: synthetic
synthetic: $(READY) ## generator, translator or SinGAN -> synthetic shards: GAN= OUTPUT= and LABEL= COUNT=, or BALANCE=true [SEED= REJECT_COPIES=true ...]
	@$(call command,synthesize) $(flags)

.PHONY: adopt
adopt: $(READY) ## images of a generator of your own -> synthetic shards: IMAGES= SHARDS= OUTPUT= GENERATOR=name SEEN=training|others|unknown [LABEL= NUM_FOLDS= FOLD= ...]
	@$(call command,adopt_synthetic) $(flags)

.PHONY: evaluation
evaluation: ALIASES = INCEPTION_WEIGHTS=weights
evaluation: $(READY) ## GAN run or synthetic shards -> how good, how diverse, copied or not: GAN= or SYNTHETIC=, SHARDS= OUTPUT= [FEATURES= ...]
	@$(call command,evaluate_gan) $(flags)

.PHONY: classifier
classifier: OWN += WORKERS
classifier: ALIASES = BATCH=batch_size FRACTION=synthetic_fraction
classifier: $(READY) ## shards -> classifier: SHARDS= WORKDIR= [BACKBONE= WEIGHTS= EPOCHS= NUM_FOLDS= FOLDS= SYNTHETIC= FRACTION= WORKERS= ...]
	@$(if $(WORKERS),$(call command,local_workers) --command=train_classifier --workers=$(WORKERS) --,$(call command,train_classifier)) $(flags)

.PHONY: submission
submission: ALIASES = CLASSIFIERS=runs
submission: $(READY) ## classifiers, CSV files -> submission.csv: CLASSIFIERS=a,b or CSV=a.csv,b.csv, OUTPUT= [ENSEMBLE= WEIGHTS= SAMPLE_SUBMISSION= ...]
	@$(call command,make_submission) $(flags)

.PHONY: predict
predict: ALIASES = CLASSIFIERS=runs
predict: $(READY) ## classifiers, new images -> predictions.csv: RUNS=a,b INPUT=folder, CSV or shards, OUTPUT= [IMAGES= TEMPERATURE= PRIOR= ...]
	@$(call command,predict) $(flags)

.PHONY: export
export: $(READY) ## shards -> folder per class, WebDataset or Hugging Face, with a data card: SHARDS= OUTPUT= LICENCE= [FORM= EVALUATION= TITLE= ...]
	@$(call command,export) $(flags)

.PHONY: report
report: ALIASES = RUN_FOLDERS=runs
report: $(READY) ## any runs -> report.html: RUNS=a,b,c OUTPUT= [TITLE= FIGURES= TABLES=]
	@$(call command,report) $(flags)

.PHONY: study
study: $(READY) ## do synthetic images of the rare class help, whose, how many? SHARDS= WORKDIR= [METHODS=a,b RATIOS=0.5,1,2 CLASSIFIER=network BUDGET_HOURS=8 PLAN=true ...]
	@$(call command,study) $(flags)

.PHONY: clean
clean: ## remove the virtual environment and caches; never any run
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache *.egg-info
