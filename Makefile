# Everything here works with sh, make and an npm of any age; npm brings Node 24 into node_modules.
# The npm scripts of package.json do the same: npm start, npm test, npm run check, npm run bench, npm run docs.
NODE = PATH="$(CURDIR)/node_modules/.bin:$$PATH" node

.PHONY: help run install test check bench docs image

help: ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: install ## Gatehouse on http://localhost:3000 with a demo identity provider and a test relying party
	@./gatehouse serve --demo

install: ## what the project needs, its own Node 24 included
	@sh scripts/install.sh

test: install ## every test; one tier alone: make test-rules (contracts, stores, flows, nodes, …)
	@$(NODE) scripts/test.ts $(ARGS)

test-%: install
	@$(NODE) scripts/test.ts $* $(ARGS)

check: install ## types, lint, format, import directions, licences
	@$(NODE) scripts/check.ts

bench: install ## the benchmark; writes bench/result.json
	@$(NODE) bench/main.ts $(ARGS)

docs: install ## the generated reference pages and screenshots
	@$(NODE) scripts/docs.ts
	@$(NODE) scripts/screenshots.ts

# Another builder: make image BUILDER=podman. Another name: make image IMAGE=registry/name:tag.
BUILDER ?= docker
IMAGE ?= gatehouse:local
image: ## the container image (Dockerfile)
	@command -v $(BUILDER) >/dev/null || { echo "image: $(BUILDER) is needed (or BUILDER=podman)" >&2; exit 1; }
	@$(BUILDER) build --tag $(IMAGE) .
