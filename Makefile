# make demo    train, export and measure a network on this machine; open demo/report.html after it
# make test    the tests
# make zoo-table   measure the networks of the zoo and write docs/zoo.md
# make int8-table  measure int8 of every network of the zoo on all targets and write docs/int8.md
# make converters  measure our TFLite files beside those of other converters: docs/converters.md
# make front   measure PSNR against latency of the zoo and of what others offer: docs/front.md, .svg
# make readme-figures   draw the crop of README.md
# make android-assets   export the zoo's int8 TFLite files, and pictures for PSNR, into the phone app
# make android-check    build the phone app and its library without Gradle's repositories, and test them
# make web     build the page of ailsr-web (needs Node.js 18 or later with npm)
# make wheel   a wheel that carries the page
# make release wheel and sdist in dist/, checked, and tried in clean environments on the lowest and the
#              newest Python of this machine (some GB of downloads where pip takes torch for CUDA)
# make lowest  the tests of the runtime on the lowest versions that pyproject.toml promises
# make newest  ... on the newest Python of this machine
# make cpus    files of the zoo on emulated x86-64 and Arm CPUs against this machine; or says why not
#              (CPUS="Haswell Cortex-A76": on these)
# make fuzz    damaged and made-up files, cards, reports and replies: counts what becomes of them
# make check   ruff, mypy and the tests: what CI runs
#
# Everything happens in .venv, which is made on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests on Set5 and Set14 read this folder; without it they use the photographs of scikit-image.
export AILSR_DATA ?= $(realpath $(wildcard ../shared/data))
DEMO_STEPS ?= 2000

PAGE := runtime/web/page/index.html.gz

.PHONY: demo test fuzz cpus check lint web wheel release lowest newest zoo-table int8-table converters front readme-figures android-assets android-check clean

# It ends with a report, whatever the training comes to (130 is Ctrl-C): files that are not written
# stand in it as failed.
demo: $(VENV)/demo
	rm -rf demo
	$(BIN)/python -m ailsr.train.photographs demo/photographs
	$(BIN)/ailsr-train --network sesr_m5 --scale 2 --method ail --rounds 5 --steps $(DEMO_STEPS) \
	    --batch 8 --patch 32 \
	    --train demo/photographs/train --val demo/photographs/val --output demo/run || \
	    { [ $$? != 130 ] && rm -f demo/run/best.pt && \
	    echo "The training failed, as said above: the demo goes on with zoo:sesr_m5_x2"; }
	$(BIN)/ailsr-export $$(ls demo/run/best.pt 2>/dev/null || echo zoo:sesr_m5_x2) \
	    --target all --precision all --output demo/files --json --allow-worse-than-bicubic \
	    --calibration demo/photographs/train --images demo/photographs/test >demo/export.json || \
	    [ $$? = 1 ]
	$(BIN)/ailsr-bench --exported demo/export.json --images demo/photographs/test \
	    --html demo/report.html || [ -f demo/report.html ]
	@echo "Open demo/report.html"

# Without npm the tests of the page are skipped, loudly.
test: $(VENV)/test $(if $(shell command -v npm),web)
	$(BIN)/pytest -rs -n 2 --dist worksteal

web: $(PAGE)

$(PAGE): web/node_modules/.package-lock.json runtime/report.schema.json \
    $(wildcard web/*.html web/*.ts web/*.json web/public/* web/src/*.css) \
    $(filter-out %.schema.ts,$(wildcard web/src/*.ts))
	cd web && npm run --silent build
	touch $@

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --silent
	touch $@

wheel: $(VENV)/test web
	rm -rf build/lib
	$(BIN)/python -m build

release: web
	$(PYTHON) tests/release.py

lowest newest:
	$(PYTHON) tests/versions.py $@

check: lint test

cpus: $(VENV)/test
	$(BIN)/python tests/cpus.py $(CPUS) || [ $$? = 77 ]

fuzz: $(VENV)/test
	$(BIN)/python tests/fuzz.py 2000

zoo-table: $(VENV)/test
	$(BIN)/python benchmarks/zoo_table.py --test $(AILSR_DATA)/benchmark/Set5 \
	    --test $(AILSR_DATA)/benchmark/Set14 --test $(AILSR_DATA)/benchmark/Kodak24 \
	    --degraded $(AILSR_DATA)/benchmark/Set5 --degraded $(AILSR_DATA)/benchmark/Set14

int8-table: $(VENV)/test
	$(BIN)/python benchmarks/int8_table.py --calibration $(AILSR_DATA)/train/T91 \
	    --test $(AILSR_DATA)/benchmark/Set5 --test $(AILSR_DATA)/benchmark/Set14

converters: $(VENV)/test
	$(BIN)/python benchmarks/converters.py --calibration $(AILSR_DATA)/train/T91 \
	    --images $(AILSR_DATA)/benchmark/Set5 --peers $(AILSR_DATA)/../peers

PEERS ?= $(AILSR_DATA)/../peers

front: $(VENV)/test
	$(BIN)/python benchmarks/front.py --calibration $(AILSR_DATA)/train/T91 \
	    --test $(AILSR_DATA)/benchmark/Set14 --test $(AILSR_DATA)/benchmark/Kodak24 \
	    $(addprefix --peers ,$(PEERS))

FIGURES := build/readme

readme-figures: $(VENV)/test
	$(BIN)/python -m ailsr.train.photographs $(FIGURES)/photographs
	$(BIN)/ailsr-export zoo:sesr_m5_x2 --target tflite --precision int8 \
	    --calibration $(AILSR_DATA)/train/T91 --output $(FIGURES)/files
	$(BIN)/python benchmarks/readme_figures.py \
	    --photograph $(FIGURES)/photographs/test/china.png --file $(FIGURES)/files/sesr_m5_x2_int8.tflite

android-assets: $(VENV)/demo
	$(BIN)/python android_demo/assets.py

android-check: $(VENV)/test
	$(BIN)/python android_demo/core_jar.py build/android/library
	$(BIN)/python android_demo/apk_build.py build/android/ailsr-demo.apk || test $$? = 3
	$(BIN)/pytest -rs tests/android_demo

lint: $(VENV)/test build/links
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=build/links $(BIN)/mypy -p ailsr
	MYPYPATH=build/links:tests:android_demo $(BIN)/mypy benchmarks/*.py android_demo/*.py

# mypy finds packages by folder names: ailsr/train as a link to train/, and so on.
build/links:
	mkdir -p $@/ailsr
	for package in runtime train export; do ln -sfn ../../../$$package $@/ailsr/$$package; done

# One virtual environment; a stamp for each set of extras.
$(VENV)/demo $(VENV)/test: $(VENV)/%: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$*]"
	touch $@

clean:
	rm -rf $(VENV) build demo runtime/web/page web/node_modules .pytest_cache .mypy_cache .ruff_cache
