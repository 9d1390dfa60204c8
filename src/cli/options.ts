import type { Command } from "commander";
import { loadValues, type Values } from "./manifests/values.js";

export interface ValueOptions {
  readonly set: readonly string[];
  readonly values: readonly string[];
  readonly revision?: string;
}

export const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export const valueOptions = (command: Command, valuesFlag = "-f, --values <file>"): Command =>
  command
    .option("-s, --set <key=value>", "a value, such as profile=demo; may be repeated", collect, [])
    .option(valuesFlag, "a YAML file with values; may be repeated", collect, [])
    .option("-r, --revision <name>", "revision of the control plane, for running two side by side");

export const valuesFrom = (options: ValueOptions): Values =>
  loadValues({
    set: options.set,
    files: options.values,
    ...(options.revision === undefined ? {} : { revision: options.revision }),
  });
