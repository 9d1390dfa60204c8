import { readFileSync } from "node:fs";

/** Set when the command is bundled into one file. */
declare const HEDDLE_VERSION: string | undefined;

const fromPackage = (): string => {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { readonly version: string }).version;
};

export const version: string = typeof HEDDLE_VERSION === "string" ? HEDDLE_VERSION : fromPackage();
