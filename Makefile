# Every target that people and CI use; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: help setup libtorch run test check bench golden docs peers python interop install

# The Debian packages that the build needs, as tool:package. libopus is built from the source in its crate.
TOOLS := cc:gcc c++:g++ cmake:cmake
# Python environments for what the peers are needed for; never for building or testing.
VENVS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/wavemill

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1|\2/' | column -t -s '|'

setup: ## Install what the build needs (a C compiler and cmake); does nothing where they are
	@missing=(); \
	for tool in $(TOOLS); do command -v "$${tool%%:*}" >/dev/null || missing+=("$${tool##*:}"); done; \
	if [ $${#missing[@]} -gt 0 ]; then \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get -qq update; $$sudo apt-get -qq install -y --no-install-recommends "$${missing[@]}"; \
	fi; \
	command -v cargo >/dev/null || { echo 'wavemill needs Rust: see rustup.rs' >&2; exit 1; }

# The feature `tch` finds libtorch by LIBTORCH, and where that is not set by cargo's settings of this checkout.
libtorch: python ## Fetch libtorch for the feature `tch` (0.5 GB, once), unless LIBTORCH is set
	@if [ -z "$${LIBTORCH:-}" ]; then \
		prefix="$(VENVS)/libtorch-2.13.0"; \
		[ -f "$$prefix/build-version" ] || python3 .ci/libtorch.py "$$prefix"; \
		settings="$$(printf '# Made by `make libtorch`.\n[env]\nLIBTORCH = "%s"' "$$prefix")"; \
		if [ -f .cargo/config.toml ] && ! head -1 .cargo/config.toml | grep -qx '# Made by `make libtorch`.'; then \
			echo "there are cargo settings of yours in .cargo/config.toml: set LIBTORCH=$$prefix there or in the environment" >&2; \
			exit 1; \
		fi; \
		mkdir -p .cargo; \
		[ "$$(cat .cargo/config.toml 2>/dev/null)" = "$$settings" ] || printf '%s\n' "$$settings" > .cargo/config.toml; \
	fi

run: setup ## Make a dataset of the bundled sample corpus and show it
	cargo build --quiet
	cargo run --quiet -- run pipelines/sample.yaml --out out/sample
	cargo run --quiet -- inspect out/sample
	cargo run --quiet -- inspect out/sample alba-01

# A process that is linked with libtorch takes a third of a second to start: only the tests that need it have it.
test: setup libtorch ## Run every test, those of the feature `tch` in a second build
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --no-fail-fast --status-level fail; \
		cargo nextest run --features tch --lib --test integration --no-fail-fast --status-level fail -E 'test(torchscript) + test(tensors)'; \
	else \
		cargo test --no-fail-fast --lib --tests; \
		cargo test --features tch --no-fail-fast --lib --test integration torchscript; \
		cargo test --features tch --no-fail-fast --lib --test integration tensors; \
	fi
	cargo test --doc

check: setup libtorch ## Check format and lints, as CI does
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --all-targets --features tch -- -D warnings

bench: setup ## Measure the hot functions, then resampling, features, augmentations, writers and loaders in turn with their peers (large wheels)
	cargo bench
	@test -x "$(VENVS)/compare/bin/python" || python3 -m venv "$(VENVS)/compare"
	"$(VENVS)/compare/bin/pip" install --quiet --requirement benches/peers/requirements-resample.txt --requirement benches/peers/requirements-featurize.txt
	"$(VENVS)/compare/bin/python" benches/peers/resample.py
	"$(VENVS)/compare/bin/python" benches/peers/featurize.py
	@test -x "$(VENVS)/augment/bin/python" || python3 -m venv "$(VENVS)/augment"
	"$(VENVS)/augment/bin/pip" install --quiet --requirement benches/peers/requirements-augment.txt
	"$(VENVS)/augment/bin/python" benches/peers/augment.py
	@test -x "$(VENVS)/interop-venv/bin/python" || python3 -m venv "$(VENVS)/interop-venv"
	"$(VENVS)/interop-venv/bin/pip" install --quiet --requirement benches/peers/requirements-interop.txt --requirement benches/peers/requirements-lhotse.txt
	"$(VENVS)/interop-venv/bin/python" benches/peers/write.py
	"$(VENVS)/interop-venv/bin/python" benches/peers/write.py --audio
	cargo build --release --quiet
	@test -x "$(VENVS)/load-venv/bin/python" || python3 -m venv "$(VENVS)/load-venv"
	"$(VENVS)/load-venv/bin/pip" install --quiet --requirement benches/peers/requirements-load.txt
	"$(VENVS)/load-venv/bin/python" benches/peers/load.py

golden: ## Remake the reference outputs of the peers (downloads several GB of wheels)
	python3 fixtures/golden/make.py
	python3 fixtures/golden/resample.py
	@test -x "$(VENVS)/augment/bin/python" || python3 -m venv "$(VENVS)/augment"
	"$(VENVS)/augment/bin/pip" install --quiet --requirement benches/peers/requirements-augment.txt
	for script in filters level silence; do "$(VENVS)/augment/bin/python" fixtures/golden/augment/$$script.py; done
	"$(VENVS)/golden-venv/bin/python" fixtures/golden/augment/level.py
	@test -x "$(VENVS)/interop-venv/bin/python" || python3 -m venv "$(VENVS)/interop-venv"
	"$(VENVS)/interop-venv/bin/pip" install --quiet --requirement benches/peers/requirements-interop.txt --requirement benches/peers/requirements-lhotse.txt
	"$(VENVS)/interop-venv/bin/python" fixtures/golden/corpora.py
	"$(VENVS)/interop-venv/bin/python" fixtures/golden/torchscript.py
	"$(VENVS)/interop-venv/bin/python" fixtures/golden/corpora/hugging_face.py fixtures/hugging_face

docs: setup ## Remake the pages of docs/ that come from the code
	cargo build --quiet
	for family in stages corpus segment augment featurize transform write; do cargo run --quiet -- list --markdown $$family > docs/$$family.md; done
	cargo run --quiet -- list --rejects > docs/rejects.md
	cargo run --quiet -- schema > docs/pipeline.schema.json
	MAKE_DOCS=1 cargo test --quiet --test integration codecs::every_codec
	MAKE_DOCS=1 cargo test --quiet --lib every_method_does_to_tones_what_its_page_says
	MAKE_DOCS=1 cargo test --quiet --lib every_feature_is_its_peers
	MAKE_DOCS=1 cargo test --quiet --test integration features::odd_sound

peers: ## Open the dataset DIR=out/sample with pyarrow, polars and DuckDB, and compare with kaldi-native-fbank
	@test -x "$(VENVS)/peers/bin/python" || python3 -m venv "$(VENVS)/peers"
	"$(VENVS)/peers/bin/pip" install --quiet --requirement benches/peers/requirements.txt
	"$(VENVS)/peers/bin/python" benches/peers/open_dataset.py "$(or $(DIR),out/sample)"

# LHOTSE=no leaves lhotse out, and with it torch: 0.7 GB of wheels in place of 5.4.
LHOTSE ?= yes

# What Debian leaves out of its Python.
python: setup
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get -qq update; $$sudo apt-get -qq install -y --no-install-recommends python3 python3-venv; \
	}

interop: python ## Write every format, and open it with its own tools: pyarrow, safetensors, webdataset, lhotse, datasets, kaldiio (5 GB of wheels)
	cargo build --quiet
	@test -x "$(VENVS)/interop-venv/bin/python" || python3 -m venv "$(VENVS)/interop-venv"
	"$(VENVS)/interop-venv/bin/pip" install --quiet --disable-pip-version-check --requirement benches/peers/requirements-interop.txt \
		$(if $(filter yes,$(LHOTSE)),--requirement benches/peers/requirements-lhotse.txt)
	"$(VENVS)/interop-venv/bin/python" benches/peers/interop.py \
		$(if $(filter yes,$(LHOTSE)),,--only parquet,arrow,safetensors,webdataset,hugging_face,kaldi_ark)

install: setup ## Install the optimised `wavemill` into cargo's folder of programs
	cargo install --path . --locked
