# The things one does with this project; `make` alone lists them. Each may be run at any time, in any
# order: what it needs is prepared first. The work itself is in scripts/ and in cargo.

.DEFAULT_GOAL := help
.PHONY: help setup demo test torture test-devices lint bench deb check-deny clean

# Each recipe is one shell, which stops at the first failing command.
.ONESHELL:
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# Extra arguments for `make demo` and `make bench`: make demo ARGS="--seconds 30"
ARGS :=

# The architecture of the Debian package.
ARCH :=

# Where setup's results are: the ONNX Runtime library, Python for comparisons.
ENV := source scripts/lib/env.sh

# Said while cargo has not built anything here; its own progress bar follows.
FIRST_BUILD := [ -d "$${CARGO_TARGET_DIR:-target}/debug" ] || echo "The first build takes about 5 minutes on two cores."

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r name text; do
		printf '  make %-12s %s\n' "$$name" "$$text"
	done

setup: ## what is needed to build and run: Rust, packages, the ONNX Runtime
	@scripts/setup

demo: setup ## a synthetic shop through the whole pipeline, counted against the truth
	@$(ENV)
	$(FIRST_BUILD)
	# Without a broker on this machine the demo carries one.
	features=()
	command -v mosquitto >/dev/null || features=(--features embedded-broker)
	cargo build --locked $${features[@]+"$${features[@]}"}
	cargo run --locked --quiet $${features[@]+"$${features[@]}"} -- demo $(ARGS)

test: ## everything a change must pass: lint, all tests, the examples in the documentation
	@scripts/setup --tests
	$(ENV)
	[ -n "$${FOOTFALL_DATA:-}" ] ||
		echo "SKIPPED: tests on recorded data; FOOTFALL_DATA does not say where the recordings are" >&2
	$(FIRST_BUILD)
	$(MAKE) --no-print-directory lint
	cargo test --locked --quiet --doc
	cargo nextest run --locked

torture: ## the full runs of which `make test` has a share: kills, power cuts, broken brokers, damage; hours
	@scripts/setup --tests
	$(ENV)
	$(FIRST_BUILD)
	FOOTFALL_TORTURE=full cargo nextest run --locked --profile torture --no-capture -E 'binary(/^torture_/) or test(/::model_tests::/) or binary(own_detectors)' $(ARGS)

test-devices: ## cameras for real, twenty minutes: RTSP from GStreamer and VLC, V4L2 in a virtual machine
	@scripts/setup --tests
	$(ENV)
	$(FIRST_BUILD)
	cargo nextest run --locked --profile torture --test live_cameras --run-ignored all --no-capture
	tests/devices/v4l2

lint: ## formatting, clippy without a warning, licences and sources of the dependencies
	@cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings
	scripts/check-deny --report-advisories

bench: setup ## measurements; numbers of two machines are no comparison
	@$(ENV)
	cargo bench --locked $(ARGS)

deb: ## the Debian package for this machine, or ARCH=arm64 / ARCH=amd64
	@scripts/deb $(ARCH)

check-deny: ## the dependencies, published advisories included
	@scripts/check-deny

clean: ## removes what was built and downloaded
	@cargo clean
	rm -rf target
