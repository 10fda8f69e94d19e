# make demo    the whole story on real virtual machines; PROVIDER=aws or PROVIDER=gcp tells it on another cloud's API
# make demo-balancer   several instances behind a load balancer, rolled over while a client asks by name
# make test    everything that is tested, one journey on real virtual machines included
# make fleets  each strategy on each cloud's API, with a good and a bad release: some minutes
# make stopped a run that is suspended for longer than its lock lasts, in each phase: two minutes
# make test-guests   Remint's user data on emulated guests of each cloud, with its firmware, metadata service and agent
# make lint    spelling, formatting, clippy, licences and sources of dependencies
# make providers   the book's page of what each provider can do, with what the suite says of it
# make sim     the engine under simulation: SEEDS=20000 for the first so many seeds, SEED=1234 for that one, without the steps
#              and faults of SKIP=3,p7:launch:1
# make sim-saboteurs   the engine with one fix undone at a time, each of which the simulation must find
# make matrix  every fault at every call that changes something, on sandboxes of the three APIs: about an hour. CELL=aws or
#              CELL=aws/deploy for a part, or a cell's whole name
# make fuzz    what is read from others, with inputs that bolero draws: MINUTES=10 for each target, TARGET=shell for one
# make advisories   known vulnerabilities of dependencies; needs the network
# make bench   the measures of docs/performance.md

TARGET := $(or $(CARGO_TARGET_DIR),target)
# A workspace of its own, which shares the target folder.
EXAMPLE := --manifest-path docs/examples/provider-hetzner/Cargo.toml --target-dir $(TARGET)

.PHONY: build demo demo-balancer test test-programs test-machines test-first test-second fleets test-guests stopped lint advisories sim sim-saboteurs matrix fuzz bench docs base-image providers

# With --examples, of which there are none, cargo gives dependencies the features that tests ask for, too: so that nothing
# big is compiled a second time for the tests.
BUILD := cargo build --workspace --lib --bins --examples

build:
	.ci/setup build
	$(BUILD)

demo:
	.ci/setup build machines test || echo "demo: without Debian's packages, on simulated machines"
	$(BUILD)
	PROVIDER=$(PROVIDER) docs/examples/demo.sh

demo-balancer:
	.ci/setup build machines test || echo "demo-balancer: without Debian's packages, on simulated machines"
	$(BUILD)
	PROVIDER=$(PROVIDER) docs/examples/demo-balancer.sh

# All at once: what needs nothing of the big SDKs is compiled beside them.
test-programs:
	.ci/setup build
	cargo test --workspace --no-run

# The tests' real machines start from the same base image as a user's.
base-image: test-programs
	.ci/setup machines
	$(TARGET)/debug/remint sandbox image build debian-12

# Tests on real machines, which have real_machine in their names, mostly wait for them to boot, and most others wait, too: three
# parts side by side, the others in halves that take about as long.
test: test-programs
	.ci/setup build machines test
	$(MAKE) --no-print-directory -j3 test-machines test-first test-second

# What a part prints is shown at its end, so that it does not mix with that of the others. Cargo is not to count its jobs among
# make's, hence no MAKEFLAGS.
PART = MAKEFLAGS= REMINT_REQUIRE_QEMU=1 cargo test --workspace
SHOWN = >$(TARGET)/$@.log 2>&1; status=$$?; cat $(TARGET)/$@.log; exit $$status

test-machines: base-image
	$(PART) --test qemu --test qemu_logins --test clients -- real_machine $(SHOWN)

test-first: test-programs
	$(PART) --lib --bins --test '[a-e]*' -- --skip real_machine $(SHOWN)

test-second: test-programs
	$(PART) --test '[!a-e]*' -- --skip real_machine
	$(PART) --doc
	MAKEFLAGS= cargo test $(EXAMPLE)

# Each strategy on each cloud's API, with a good and a bad release.
fleets: test-programs
	MAKEFLAGS= cargo test --workspace --test fleets -- --ignored --nocapture

# Two guests at a time, each of which takes minutes to boot. The first run builds their disk.
test-guests: test-programs
	.ci/setup machines test
	MAKEFLAGS= cargo test --workspace --test guests --test qemu -- --ignored --nocapture --test-threads=2

stopped: test-programs
	MAKEFLAGS= cargo test --workspace --test stopped_clock -- --include-ignored

lint:
	.ci/setup build lint
	target/lint/bin/typos
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo fmt --manifest-path docs/examples/provider-hetzner/Cargo.toml --check
	cargo clippy $(EXAMPLE) --all-targets -- --deny warnings
	cargo fetch --locked
	cargo deny --offline check --hide-inclusion-graph bans licenses sources

# The database of advisories is fetched, so this is not a part of `make lint`.
advisories:
	cargo deny check --hide-inclusion-graph advisories
	cargo deny --manifest-path docs/examples/provider-hetzner/Cargo.toml check --config $(abspath deny.toml) \
	  --hide-inclusion-graph advisories

# It is built with optimizations where there are many seeds: they take longer than the compiler.
sim:
	.ci/setup build
	REMINT_SIM_SEED=$(SEED) REMINT_SIM_SEEDS=$(SEEDS) REMINT_SIM_SKIP=$(SKIP) cargo test --package remint-core --lib $(if $(SEEDS),--profile sim) -- \
	  --exact sim::tests::the_promise_holds_for_every_seed --nocapture

sim-saboteurs:
	.ci/setup build
	core/src/sim/saboteurs/run $(SABOTEURS)

# What it waits for takes most of the time, so there are more workers than cores.
matrix:
	.ci/setup build test
	REMINT_MATRIX='$(or $(CELL),all)' REMINT_MATRIX_WORKERS=$(WORKERS) cargo test --workspace --test matrix -- \
	  --exact the_fault_matrix --ignored --nocapture

# A test run tries each target as well, with a fixed number of inputs that are always the same.
fuzz:
	.ci/setup build
	REMINT_FUZZ_MINUTES=$(or $(MINUTES),1) cargo test --workspace --lib -- fuzz_$(TARGET) --nocapture

bench:
	.ci/setup build machines test bench
	cargo build --workspace --release
	docs/examples/bench.py

# What the suite says of each provider goes into the book's page of providers.
providers:
	.ci/setup build test
	rm -rf $(TARGET)/reports
	REMINT_CONFORMANCE_REPORT=$(abspath $(TARGET))/reports cargo test --workspace --test conformance
	REMINT_BLESS=1 REMINT_CONFORMANCE_REPORT=$(abspath $(TARGET))/reports cargo test --workspace --test providers_page

docs: docs/manifest-reference.md docs/saboteurs.md
	mdbook build docs

# Made from the manifest's types; a test compares.
docs/manifest-reference.md: $(wildcard core/src/manifest/*.rs)
	cargo run --quiet --package remint-cli -- schema --reference > $@.new
	mv $@.new $@

# Made from the roll of saboteurs; a test compares.
docs/saboteurs.md: $(wildcard conformance-tests/src/cases/*.rs conformance-tests/tests/saboteurs/*/*.rs)
	cargo test --quiet --workspace --test saboteurs -- --table > $@.new
	mv $@.new $@
