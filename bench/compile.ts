import { startChild } from "./support/child.js";
import type { Compiling } from "./support/compiling.js";
import { numberOption, type Row, report, textOption, transposed } from "./support/report.js";

/**
 * The compiler alone, in a process of its own for each size: as many VirtualServices and DestinationRules as services,
 * in 20 namespaces, one proxy in each of them and five with Sidecars of their own. Changes come one at a time; what they
 * cost should not grow with the mesh.
 * Usage: node --import tsx bench/compile.ts [--services 100,300,1000,3000] [--changes 40 (of each kind)]
 *   [--against CHECKOUT (measured in turns with this one)] [--profile FOLDER (of CPU profiles)] [--json]
 */
const sizes = (textOption("services") ?? "100,300,1000,3000").split(",").map(Number);
const changes = numberOption("changes", 40);
const against = textOption("against");
const profile = textOption("profile");
const kibibyte = 1 << 10;

const measure = async (checkout: string | undefined, services: number): Promise<Row> => {
  const flags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const child = await startChild("compiling", checkout, flags);
  try {
    const measured = await child.ask<Compiling>("measure", { services, changes });
    return {
      code: checkout === undefined ? "this" : "against",
      services,
      "build ms": measured.build,
      "VirtualService change ms": measured.virtualServiceChange,
      "DestinationRule change ms": measured.destinationRuleChange,
      "endpoint change ms": measured.endpointChange,
      "proxy, same namespace ms": measured.sameNamespaceProxy,
      "proxy, other namespace ms": measured.otherNamespaceProxy,
      "proxy with Sidecar ms": measured.sidecarProxy,
      "all KB": measured.bytes / kibibyte,
      "KB/service": measured.bytes / kibibyte / services,
      "KB/proxy": measured.bytesAProxy / kibibyte,
      "KB/namespace": measured.bytesANamespace / kibibyte,
      "KB/Sidecar": measured.bytesASidecar / kibibyte,
    };
  } finally {
    await child.stop();
  }
};

const rows: Row[] = [];
for (const services of sizes) {
  if (against !== undefined) rows.push(await measure(against, services));
  rows.push(await measure(undefined, services));
}
report("compile", rows, transposed(rows));
