import type { ObjectEvent } from "../../src/api/kubernetes.js";
import { createCompiler } from "../../src/compile/compiler.js";
import { serveParent } from "./child.js";
import { collectGarbage } from "./garbage.js";
import { meshEvents, namespaceOf, podName, sliceEvent } from "./mesh.js";
import { destinationRuleEvent, sidecarEvent, virtualServiceEvent } from "./rules.js";
import { median } from "./statistics.js";

/** One size, measured in a process of its own. Times in milliseconds, memory in bytes. */
export interface Compiling {
  /** Until the first proxy of the mesh has its configuration. */
  readonly build: number;
  readonly virtualServiceChange: number;
  readonly destinationRuleChange: number;
  readonly endpointChange: number;
  readonly sameNamespaceProxy: number;
  readonly otherNamespaceProxy: number;
  readonly sidecarProxy: number;
  readonly bytes: number;
  readonly bytesANamespace: number;
  readonly bytesASidecar: number;
  readonly bytesAProxy: number;
}

const endpoints = 5;
const namespaces = 20;
/** The last services have the Sidecars; the rules that change are of others. */
const sidecars = 5;

const measure = async (input: { readonly services: number; readonly changes: number }): Promise<Compiling> => {
  const { services, changes } = input;
  const shape = { services, endpoints };
  const numbers = Array.from({ length: services }, (_, service) => service);
  const events: readonly ObjectEvent[] = [
    ...meshEvents(shape),
    ...numbers.flatMap((service) => [virtualServiceEvent(service), destinationRuleEvent(service)]),
    ...numbers.slice(-sidecars).map((service) => sidecarEvent(service, `app-${service}`)),
  ];
  const liveBytes = async (): Promise<number> => {
    await collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const timed = (action: () => void): number => {
    const began = performance.now();
    action();
    return performance.now() - began;
  };
  const compiler = createCompiler();
  const attach = (service: number, endpoint: number): number =>
    timed(() => {
      const pod = podName(service, endpoint);
      const workload = compiler.attach(namespaceOf(service), pod, `uid-${pod}`);
      if (workload === undefined) throw new Error(`${pod} has no configuration`);
      workload.onChange(() => {});
    });
  const empty = await liveBytes();
  const build = timed(() => compiler.apply(events)) + attach(0, 0);
  const full = await liveBytes();
  const same = Array.from({ length: 20 }, (_, each) => attach(Math.floor(each / 4) * namespaces, (each % 4) + 1));
  const proxies = await liveBytes();
  const others = Array.from({ length: namespaces - 1 }, (_, each) => attach(each + 1, 0));
  const spread = await liveBytes();
  const apart = numbers.slice(-sidecars).map((service) => attach(service, 0));
  const scoped = await liveBytes();
  const change = (event: (service: number, round: number) => ObjectEvent): number =>
    median(
      Array.from({ length: changes }, (_, round) => {
        const service = round % (services - sidecars);
        return timed(() => compiler.apply([event(service, round)]));
      }),
    );
  return {
    build,
    virtualServiceChange: change((service, round) => virtualServiceEvent(service, 51 + (round % 40))),
    destinationRuleChange: change((service, round) => destinationRuleEvent(service, 101 + round)),
    endpointChange: change((service) => sliceEvent(shape, service, 1)),
    sameNamespaceProxy: median(same),
    otherNamespaceProxy: median(others),
    sidecarProxy: median(apart),
    bytes: full - empty,
    bytesAProxy: (proxies - full) / same.length,
    bytesANamespace: (spread - proxies) / others.length,
    bytesASidecar: (scoped - spread) / apart.length,
  };
};

serveParent({ measure });
