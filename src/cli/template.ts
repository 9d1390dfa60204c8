import { readFileSync } from "node:fs";

/** Set when the command is bundled into one file. */
declare const HEDDLE_TEMPLATE: string | undefined;

/** The built-in injection template. */
export const builtInTemplate = (): string =>
  typeof HEDDLE_TEMPLATE === "string"
    ? HEDDLE_TEMPLATE
    : readFileSync(new URL("../../templates/sidecar.yaml", import.meta.url), "utf8");
