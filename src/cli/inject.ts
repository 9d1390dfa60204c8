import { readFileSync } from "node:fs";
import type { V1Pod } from "@kubernetes/client-node";
import type { Command } from "commander";
import { parseAllDocuments, stringify } from "yaml";
import { injectPod } from "../injection/inject.js";
import { parseTemplate } from "../injection/template.js";
import type { InjectionResult, InjectionValues } from "../injection/types.js";
import { injectDocument } from "./inject-document.js";
import { injectionConfiguration } from "./manifests/configuration.js";
import { contextOf, namespace as meshNamespace } from "./manifests/context.js";
import type { Values } from "./manifests/values.js";
import { type ValueOptions, valueOptions, valuesFrom } from "./options.js";
import { builtInTemplate } from "./template.js";

interface InjectOptions extends ValueOptions {
  readonly filename: string;
  readonly namespace: string;
  readonly ipFamilies: string;
}

const familiesOf = (text: string): readonly ("IPv4" | "IPv6")[] =>
  text.split(",").map((family) => {
    if (family !== "IPv4" && family !== "IPv6")
      throw new Error(`--ip-families ${text}: write IPv4, IPv6 or both with a comma, the pods' first one first`);
    return family;
  });

/** Injection as the installed mesh does it for a pod of a namespace that asks for this revision. */
const injector = (values: Values, families: readonly ("IPv4" | "IPv6")[]) => {
  const context = contextOf(values);
  const { data } = injectionConfiguration(context);
  const trustDomain = values.meshConfig["trustDomain"];
  const template = parseTemplate(values.injection.template || builtInTemplate(), values.injection.overlays);
  return (pod: V1Pod, namespace: string): InjectionResult =>
    injectPod({
      pod,
      namespace: {
        name: namespace,
        labels: values.revision === "default" ? { "istio-injection": "enabled" } : { "istio.io/rev": values.revision },
      },
      revision: values.revision,
      template,
      values: {
        ...(JSON.parse(data["values"]!) as InjectionValues),
        defaultConfig: values.meshConfig["defaultConfig"],
      },
      cluster: {
        controlPlaneHost: `heddled${context.suffix}.${meshNamespace}.svc`,
        controlPlanePort: 15012,
        trustDomain: typeof trustDomain === "string" ? trustDomain : "cluster.local",
        clusterDomain: values.cluster.domain,
        clusterId: values.cluster.id,
        network: values.cluster.network,
        ipFamilies: families,
      },
    });
};

const read = (filename: string): string => {
  try {
    return readFileSync(filename === "-" ? 0 : filename, "utf8");
  } catch (error) {
    throw new Error(`-f ${filename}: cannot be read: ${(error as Error).message}`);
  }
};

const inject = (options: InjectOptions): void => {
  const injectOne = injector(valuesFrom(options), familiesOf(options.ipFamilies));
  const written: string[] = [];
  for (const document of parseAllDocuments(read(options.filename))) {
    const [fault] = document.errors;
    if (fault !== undefined) throw new Error(`-f ${options.filename}: is not YAML: ${fault.message.split("\n")[0]}`);
    const content = document.toJS({ maxAliasCount: 1000 }) as unknown;
    if (content === null) continue;
    const { object, notes } = injectDocument(content, options.namespace, injectOne);
    for (const note of notes) console.error(`heddle: ${note}`);
    written.push(stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }));
  }
  process.stdout.write(written.join("---\n"));
};

export const registerInject = (program: Command): void => {
  const command = program
    .command("inject")
    .description("print the objects of a file with sidecars in their pods, without a cluster")
    .requiredOption("-f, --filename <file>", "the file with Kubernetes YAML, - for standard input")
    .option("-n, --namespace <name>", "namespace of objects that name none", "default")
    .option("--ip-families <families>", "the pods' IP families, such as IPv4,IPv6", "IPv4");
  valueOptions(command, "--values <file>").action(inject);
};
