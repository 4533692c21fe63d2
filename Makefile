# make          the release binary
# make test     everything that can be checked here; what could not run is listed at the end
# make bench    our figures, beside those of the peers and servers that are installed, in one run
# make generate man page and completions from the command line's definition
# make deny     licences, sources and bans of the dependencies (needs cargo-deny)

CARGO ?= cargo
CANNOT_RUN := target/cannot-run.txt

# What `make tools` installs for the tests alone.
export PATH := $(CURDIR)/.cache/tools/bin:$(PATH)

.PHONY: build dist static test tools bench generate deny

build:
	$(CARGO) build --release --locked

# The shipped artefact: smaller and slower to build.
dist:
	$(CARGO) build --profile dist --locked

# The same without any shared library; needs the Rust target of that name, and musl-gcc.
static:
	CC_x86_64_unknown_linux_musl=musl-gcc \
		$(CARGO) build --profile dist --locked --target x86_64-unknown-linux-musl

tools:
	tests/setup.sh

test: tools
	@mkdir -p target && rm -f $(CANNOT_RUN)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps -p acmeagent-reload
	$(CARGO) test --workspace --locked
	@if [ -s $(CANNOT_RUN) ]; then echo "could not run here:"; sort -u $(CANNOT_RUN); fi

# What is shipped is what is measured. Without Go there is no lego to compare with.
bench: tools
	@test -x .cache/tools/bin/lego || benches/peers/lego.sh $(CURDIR)/.cache/tools/bin \
		|| echo "cannot build lego: it will not be measured"
	@test -x .cache/tools/mended/bin/pebble || benches/peers/pebble.sh $(CURDIR)/.cache/tools/mended \
		|| echo "cannot mend Pebble: it may come to a standstill under a thousand orders"
	$(CARGO) build --profile dist --locked --workspace --example axum
	PATH=$(CURDIR)/.cache/tools/mended/bin:$$PATH $(CARGO) bench --profile dist --locked --workspace \
		--bench peers --bench names --bench deploys --bench resolver

generate: build
	mkdir -p man completions
	target/release/acmeagent generate man > man/acmeagent.1
	target/release/acmeagent generate completions bash > completions/acmeagent.bash
	target/release/acmeagent generate completions zsh > completions/_acmeagent
	target/release/acmeagent generate completions fish > completions/acmeagent.fish

deny:
	$(CARGO) deny check licenses bans sources
