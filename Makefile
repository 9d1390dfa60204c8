# Heddle's targets. The first of each group is what the README promises.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(CURDIR)/.cache/tools/bin:$(PATH)

.PHONY: run test unit component e2e nightly lint audit sbom format images proto tools bench clean packages

run: ready ## The main job with no cluster at hand
	node --import tsx src/cli/main.ts run $(ARGS)

test: ready packages lint audit ## Everything: lint, unit, component, end to end on a real Kubernetes
	node --import tsx test/all.ts

unit: ready
	node --import tsx test/run.ts test/unit

component: ready packages
	node --import tsx test/run.ts test/component

e2e: ready packages
	node --import tsx test/e2e/run.ts

nightly: ready packages ## Policies against their specification, 10,000 pairs of another seed each time; SPIRE
	deploy/tools/spire.sh
	HEDDLE_PAIRS=$${HEDDLE_PAIRS:-10000} node --import tsx test/run.ts \
		test/component/authorization-differential.test.ts test/nightly

lint: ready
	node_modules/.bin/tsc --noEmit
	node_modules/.bin/biome check .
	node_modules/.bin/depcruise --config .dependency-cruiser.json src

audit: ready ## Known vulnerabilities of what is shipped, or a word that nobody could be asked
	@node --import tsx deploy/tools/audit.ts

sbom: ready packages ## What each image is made of, in CycloneDX, to dist/
	@node --import tsx deploy/tools/sbom.ts

format: ready
	node_modules/.bin/biome check --write .

images: ready ## ENGINE=buildah (no daemon needed) or docker
	deploy/images/build.sh $(or $(ENGINE),buildah)

proto: tools node_modules/.package-lock.json
	deploy/tools/proto.sh

tools:
	@deploy/tools/install.sh

node_modules/.package-lock.json: package-lock.json | tools
	npm ci --no-audit --no-fund
	@touch $@

.PHONY: ready
ready: tools node_modules/.package-lock.json proto

packages: ## Debian packages the component and end-to-end tests drive
	@deploy/tools/packages.sh

bench: ready
	for script in bench/*.ts; do node --import tsx $$script; done

clean:
	rm -rf .cache dist node_modules src/proto
