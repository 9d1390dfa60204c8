import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import type { V1Container, V1Pod } from "@kubernetes/client-node";
import type { Pod, Service } from "../../api/kubernetes.js";
import type { Sidecar } from "../../api/networking/sidecar.js";
import { type Protocol, protocolOf } from "../../model/protocol.js";
import { hasSidecar } from "../sidecar.js";
import type { Network, PodNetwork } from "./network.js";
import { isSelected, targetOf } from "./services.js";
import { takeSlot } from "./slot.js";

/** Where an application is told to send its requests: its proxy, as an HTTP proxy. */
export const explicitOutboundPort = 15001;

const podLabel = "run.heddle.io/pod";
const protocolNames: Readonly<Record<Protocol, string>> = { http: "HTTP", http2: "HTTP2", tcp: "TCP", auto: "" };

type JsonValue = string | number | boolean | null | JsonValue[] | { [name: string]: JsonValue };

/** The bootstrap's addresses: the proxy's own become the pod's one address, the pod's, which is probed, the application's. */
const relocated = (value: JsonValue, addresses: ReadonlyMap<string, string>): JsonValue => {
  if (Array.isArray(value)) return value.map((item) => relocated(item, addresses));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name,
      name === "address" && typeof field === "string" ? (addresses.get(field) ?? field) : relocated(field, addresses),
    ]),
  );
};

/** The control plane by its address: no name resolves to it. Its certificate still has to have the name. */
const withControlPlane = (bootstrap: string, gateway: string): string =>
  bootstrap.replace(
    /"target_uri":"([^":]+):(\d+)"(.*?)"args":\{/,
    (_, name: string, port: string, between: string) =>
      `"target_uri":"${gateway}:${port}"${between}"args":{"grpc.ssl_target_name_override":{"string_value":"${name}"},`,
  );

const proxyArguments = (args: readonly string[], gateway: string, addresses: ReadonlyMap<string, string>): string[] =>
  args.map((argument, index) =>
    args[index - 1] === "--config-yaml"
      ? withControlPlane(JSON.stringify(relocated(JSON.parse(argument) as JsonValue, addresses)), gateway)
      : argument,
  );

/** What the pod serves, where its application is, and the port at which that finds the others. */
const sidecarOf = (pod: Pod, services: readonly Service[], applicationAddress: string, firstPort: number): Sidecar => {
  const { name = "", namespace = "default" } = pod.metadata ?? {};
  const address = pod.status?.podIP ?? "";
  const ports = new Map<number, Protocol>();
  for (const service of services.filter((candidate) => isSelected(candidate, pod)))
    for (const port of service.spec?.ports ?? []) {
      const number = targetOf(port, pod);
      if (number !== undefined && (port.protocol ?? "TCP") === "TCP") ports.set(number, protocolOf(port));
    }
  const low = [...ports.keys()].find((port) => port < firstPort);
  if (low !== undefined)
    throw new Error(
      `pod ${name}: its Service has targetPort ${low}, where only root may listen; use ${firstPort} or more, or sudo`,
    );
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "Sidecar",
    metadata: { name, namespace },
    spec: {
      workloadSelector: { labels: { [podLabel]: name } },
      ingress: [...ports].map(([number, protocol]) => ({
        port: { number, protocol: protocolNames[protocol], name: `port-${number}` },
        bind: address,
        captureMode: "NONE" as const,
        defaultEndpoint: `${applicationAddress}:${number}`,
      })),
      egress: [
        {
          port: { number: explicitOutboundPort, protocol: "HTTP_PROXY", name: "http-proxy" },
          bind: address,
          captureMode: "NONE" as const,
          hosts: ["*/*"],
        },
      ],
    },
  };
};

const isTaken = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port: explicitOutboundPort });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });

/**
 * Pods for an ordinary user: each has two addresses of 127.0.0.0/8, one for its proxy, which is the pod's, and one for
 * its application. Nothing is redirected: the application is told by HOST where to listen and by HTTP_PROXY whom to ask,
 * and a Sidecar tells the proxy the same.
 */
export const createLoopback = async (): Promise<Network> => {
  const slot = await takeSlot("loopback");
  const gateway = `127.88.${slot.number}.1`;
  const firstPort = Number(await readFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
  const applicationAddresses = new Map<string, string>();
  let last = 1;

  const addPod = async (): Promise<PodNetwork> => {
    let host = ++last;
    // Another program there would take what is meant for this pod, and answer for it.
    while (await isTaken(`127.88.${slot.number}.${host}`)) host = ++last;
    const address = `127.88.${slot.number}.${host}`;
    const applicationAddress = `127.89.${slot.number}.${host}`;
    applicationAddresses.set(address, applicationAddress);
    const fitApplication = (container: V1Container, pod: V1Pod): V1Container => {
      const proxy = `http://${address}:${explicitOutboundPort}`;
      const variables: Readonly<Record<string, string>> = hasSidecar(pod)
        ? { HOST: applicationAddress, HTTP_PROXY: proxy, http_proxy: proxy, NODE_USE_ENV_PROXY: "1" }
        : { HOST: address };
      return {
        ...container,
        env: [...Object.entries(variables).map(([name, value]) => ({ name, value })), ...(container.env ?? [])],
      };
    };
    return {
      addresses: [address],
      applicationAddress,
      // Ends with this process, however that ends.
      wrap: (words, user) => [...(user === undefined ? [] : ["setpriv", "--pdeathsig=KILL", "--"]), ...words],
      curl: (url) => `curl --proxy http://${address}:${explicitOutboundPort} ${url}`,
      fit: (container, pod) => {
        if (container.name.startsWith("istio-init")) return undefined;
        if (container.name !== "istio-proxy") return fitApplication(container, pod);
        const addresses = new Map([
          ["0.0.0.0", address],
          ["127.0.0.1", address],
          ["$(INSTANCE_IP)", applicationAddress],
        ]);
        return { ...container, args: proxyArguments(container.args ?? [], gateway, addresses) };
      },
      setHosts: async () => {},
      setServices: async () => {},
      remove: async () => {},
    };
  };

  return {
    gateway,
    families: ["IPv4"],
    addPod,
    place: (pod) => ({
      ...pod,
      metadata: {
        ...pod.metadata,
        labels: { ...pod.metadata?.labels, [podLabel]: pod.metadata?.name ?? "" },
        annotations: { ...pod.metadata?.annotations, "sidecar.istio.io/interceptionMode": "NONE" },
      },
    }),
    sidecars: (pods, services) =>
      pods
        .filter((pod) => hasSidecar(pod as unknown as V1Pod))
        .map((pod) => sidecarOf(pod, services, applicationAddresses.get(pod.status?.podIP ?? "") ?? "", firstPort)),
    close: async () => slot.release(),
  };
};
