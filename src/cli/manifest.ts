import type { Command } from "commander";
import { stringify } from "yaml";
import { renderManifests } from "./manifests/render.js";
import { type ValueOptions, valueOptions, valuesFrom } from "./options.js";

export const registerManifest = (program: Command): void => {
  const manifest = program.command("manifest").description("manifests of an installation");
  valueOptions(manifest.command("generate").description("print what install applies, as YAML")).action(
    (options: ValueOptions) => {
      const documents = renderManifests(valuesFrom(options)).map((object) =>
        stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }),
      );
      // `| head` has read enough.
      process.stdout.on("error", () => process.exit());
      process.stdout.write(documents.join("---\n"));
    },
  );
};
