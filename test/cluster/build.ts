import { mkdirSync } from "node:fs";
import { buildBinaries } from "./binaries.ts";
import { state } from "./settings.ts";

// Builds what `up` would build, so that a test's deadline need not allow for it.
mkdirSync(state, { recursive: true });
await buildBinaries();
