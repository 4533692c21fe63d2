# make          the release binary
# make test     everything that can be checked here; what could not run is listed at the end
# make bench    our figures, beside those of the peers and servers that are installed, in one run
# make package  .deb and .rpm, and make tarball what runs on any Linux of x86-64, in target/packages
# make image    what Containerfile needs, in target/image
# make generate man page and completions from the command line's definition, rules and dashboard
# make deny     licences, sources and bans of the dependencies (needs cargo-deny)

CARGO ?= cargo
CANNOT_RUN := target/cannot-run.txt
# Tests that boot a system of their own: after the others, some of which go by the clock.
MACHINES := packaging:: nonroot::machine::

# What `make tools` installs for the tests alone.
export PATH := $(CURDIR)/.cache/tools/bin:$(PATH)

.PHONY: build dist static package tarball image test tools bench generate deny

build:
	$(CARGO) build --release --locked

# The shipped artefact: smaller and slower to build.
dist:
	$(CARGO) build --profile dist --locked

# The same without any shared library; needs the Rust target of that name, and musl-gcc.
static:
	CC_x86_64_unknown_linux_musl=musl-gcc \
		$(CARGO) build --profile dist --locked --target x86_64-unknown-linux-musl

VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p;T;q' Cargo.toml)
PACKAGES := target/packages
TARBALL := acmeagent-$(VERSION)-x86_64-linux
STATIC := target/x86_64-unknown-linux-musl/dist/acmeagent

package: dist tools
	mkdir -p $(PACKAGES)
	$(CARGO) deb --no-build --locked --profile dist --output $(PACKAGES)
	$(CARGO) generate-rpm --profile dist --output $(PACKAGES)

tarball: static
	rm -rf $(PACKAGES)/$(TARBALL) && mkdir -p $(PACKAGES)/$(TARBALL)/packaging
	cp -R $(STATIC) README.md LICENSE-* man completions hooks $(PACKAGES)/$(TARBALL)
	cd packaging && cp -R examples grafana polkit prometheus systemd ../$(PACKAGES)/$(TARBALL)/packaging
	tar -C $(PACKAGES) --sort=name --owner=0 --group=0 --numeric-owner -czf \
		$(PACKAGES)/$(TARBALL).tar.gz $(TARBALL)
	rm -r $(PACKAGES)/$(TARBALL)

# As in `podman build target/image`: an image needs no other, and building one no network.
image: static
	mkdir -p target/image/data
	cp $(STATIC) packaging/Containerfile target/image
	cp -L /etc/ssl/certs/ca-certificates.crt target/image

tools:
	tests/setup.sh

test: tools
	@mkdir -p target && rm -f $(CANNOT_RUN)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps -p acmeagent-reload
	$(CARGO) test --workspace --locked -- $(MACHINES:%=--skip %)
	$(CARGO) test --locked --test integration -- $(MACHINES)
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
	for verb in $$(target/release/acmeagent generate man | sed -n 's/^.fBacmeagent.-\([a-z]*\).fR(1)$$/\1/p'); do \
		target/release/acmeagent generate man $$verb > man/acmeagent-$$verb.1 || exit; done
	target/release/acmeagent generate completions bash > completions/acmeagent.bash
	target/release/acmeagent generate completions zsh > completions/_acmeagent
	target/release/acmeagent generate completions fish > completions/acmeagent.fish
	target/release/acmeagent generate rules > packaging/prometheus/acmeagent.rules.yml
	target/release/acmeagent generate dashboard > packaging/grafana/acmeagent.json

deny:
	$(CARGO) deny check licenses bans sources
