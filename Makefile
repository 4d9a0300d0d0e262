# melgan: from raw medical images to a submission. `make` alone lists what there is.
#
# Settings go to the stages as variables in capitals: make shards SOURCE=siim_isic INPUT=... OUTPUT=... IMAGE_SIZE=256
# Those of every stage: python -m pipelines.<stage> --help. What has no variable goes into ARGS="--name=value ...".

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS ?= dev
PINS ?= --constraint constraints.txt
RUNS ?= runs
TEST_PROCESSES ?= 2

# $(call flag,name,VARIABLE): --name=value if the variable is given, nothing otherwise.
flag = $(if $($(2)),--$(1)='$($(2))')
stage = $(BIN)/python -m pipelines.$(1)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ First
.PHONY: demo
demo: $(READY) ## the whole line on the embedded, drawn data set: minutes on a laptop
	@$(call stage,demo) --workdir=$(RUNS)/demo

.PHONY: test
test: $(READY) ## the whole test suite, lint included, in TEST_PROCESSES=2 processes
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

.PHONY: venv
venv: $(READY) ## the virtual environment alone; EXTRAS=dev,cuda chooses extras, PYTHON=python3.12 the interpreter

$(READY): setup.py constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; give PYTHON=/path/to/python3.10-3.13"; exit 1; }
	@$(PYTHON) -c 'import sys; ok = (3, 10) <= sys.version_info[:2] <= (3, 13); sys.exit(0 if ok else "error: Python " + sys.version.split()[0] + " is not one of 3.10 to 3.13; give PYTHON=...")'
	@echo "installing into $(VENV) (some minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PINS) --editable '.[$(EXTRAS)]'
	@touch $@

##@ Stages
.PHONY: shards
shards: $(READY) ## images -> TFRecord shards: SOURCE= INPUT= OUTPUT= [IMAGE_SIZE= FIT= NUM_SHARDS= DUPLICATES= WORKERS= ENGINE= SCHEDULER=]
	@$(call stage,make_shards) $(call flag,source,SOURCE) $(call flag,input,INPUT) $(call flag,output,OUTPUT) \
	  $(call flag,image_size,IMAGE_SIZE) $(call flag,fit,FIT) $(call flag,num_shards,NUM_SHARDS) \
	  $(call flag,duplicates,DUPLICATES) $(call flag,workers,WORKERS) $(call flag,engine,ENGINE) \
	  $(call flag,scheduler,SCHEDULER) $(ARGS)

.PHONY: inspect
inspect: $(READY) ## look into TFRecord files or folders, any: PATHS="a b" [CONTACT_SHEET=x.png ARGS=--verify]
	@$(call stage,inspect_shards) $(PATHS) $(call flag,contact_sheet,CONTACT_SHEET) $(ARGS)

.PHONY: gan
gan: $(READY) ## shards -> generator: SHARDS= WORKDIR= [METHOD= IMAGE_SIZE= STEPS= BATCH= WIDTH= AUGMENTATION= RESUME_FROM= NUM_FOLDS= FOLD= STRATEGY= WORKERS=]
	@$(if $(WORKERS),$(BIN)/python -m pipelines.local_workers --workers=$(WORKERS) --,$(call stage,train_gan) $(call flag,strategy,STRATEGY)) \
	  $(call flag,shards,SHARDS) $(call flag,workdir,WORKDIR) $(call flag,method,METHOD) \
	  $(call flag,image_size,IMAGE_SIZE) $(call flag,total_steps,STEPS) $(call flag,global_batch_size,BATCH) \
	  $(call flag,width,WIDTH) $(call flag,augmentation,AUGMENTATION) $(call flag,resume_from,RESUME_FROM) \
	  $(call flag,num_folds,NUM_FOLDS) $(call flag,fold,FOLD) $(ARGS)

.PHONY: synthetic
synthetic: $(READY) ## generator -> synthetic shards: GAN= OUTPUT= and LABEL= COUNT=, or BALANCE=true [SEED= REJECT_COPIES=true]
	@$(call stage,synthesize) $(call flag,gan,GAN) $(call flag,output,OUTPUT) $(call flag,label,LABEL) \
	  $(call flag,count,COUNT) $(call flag,balance,BALANCE) $(call flag,seed,SEED) \
	  $(call flag,reject_copies,REJECT_COPIES) $(ARGS)

.PHONY: evaluation
evaluation: $(READY) ## GAN run or synthetic shards -> how good, how diverse, copied or not: GAN= or SYNTHETIC=, SHARDS= OUTPUT= [FEATURES= INCEPTION_WEIGHTS=]
	@$(call stage,evaluate_gan) $(call flag,gan,GAN) $(call flag,synthetic,SYNTHETIC) $(call flag,shards,SHARDS) \
	  $(call flag,output,OUTPUT) $(call flag,features,FEATURES) $(call flag,weights,INCEPTION_WEIGHTS) $(ARGS)

.PHONY: classifier
classifier: $(READY) ## shards -> classifier: SHARDS= WORKDIR= [BACKBONE= WEIGHTS= EPOCHS= NUM_FOLDS= FOLDS= SYNTHETIC= FRACTION=]
	@$(call stage,train_classifier) $(call flag,shards,SHARDS) $(call flag,workdir,WORKDIR) \
	  $(call flag,backbone,BACKBONE) $(call flag,weights,WEIGHTS) $(call flag,image_size,IMAGE_SIZE) \
	  $(call flag,epochs,EPOCHS) $(call flag,batch_size,BATCH) $(call flag,strategy,STRATEGY) \
	  $(call flag,num_folds,NUM_FOLDS) $(call flag,folds,FOLDS) $(call flag,synthetic,SYNTHETIC) \
	  $(call flag,synthetic_fraction,FRACTION) $(ARGS)

.PHONY: submission
submission: $(READY) ## classifiers -> submission.csv: CLASSIFIERS=a,b OUTPUT= [SAMPLE_SUBMISSION=]
	@$(call stage,make_submission) $(call flag,runs,CLASSIFIERS) $(call flag,output,OUTPUT) \
	  $(call flag,sample_submission,SAMPLE_SUBMISSION) $(ARGS)

.PHONY: report
report: $(READY) ## any runs -> report.html: RUN_FOLDERS=a,b,c OUTPUT= [TITLE=]
	@$(call stage,report) $(call flag,runs,RUN_FOLDERS) $(call flag,output,OUTPUT) $(call flag,title,TITLE) $(ARGS)

.PHONY: clean
clean: ## remove the virtual environment and caches; never any run
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache *.egg-info
