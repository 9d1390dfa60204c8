import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import type { V1Container, V1Pod, V1Probe } from "@kubernetes/client-node";

const portOf = (container: V1Container, port: number | string): number =>
  typeof port === "number" ? port : (container.ports?.find(({ name }) => name === port)?.containerPort ?? Number(port));

const httpGet = (host: string, port: number, probe: V1Probe, timeout: number): Promise<boolean> =>
  new Promise((resolve) => {
    const { path = "/", scheme, httpHeaders = [] } = probe.httpGet ?? {};
    const headers = Object.fromEntries(httpHeaders.map(({ name, value }) => [name, value]));
    const ask = scheme === "HTTPS" ? httpsRequest : httpRequest;
    const call = ask({ host, port, path, headers, timeout, agent: false, rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve((response.statusCode ?? 0) >= 200 && (response.statusCode ?? 0) < 400);
    });
    call.on("timeout", () => call.destroy(new Error("timeout")));
    call.on("error", () => resolve(false));
    call.end();
  });

const tcpSocket = (host: string, port: number, timeout: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout });
    const finish = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.on("connect", () => finish(true));
    socket.on("timeout", () => finish(false));
    socket.on("error", () => finish(false));
  });

/** Asks once, from outside of the pod, as the kubelet does. Commands and gRPC of the application itself count as passed. */
export const passes = (container: V1Container, probe: V1Probe | undefined, address: string): Promise<boolean> => {
  const timeout = (probe?.timeoutSeconds ?? 1) * 1000;
  if (probe?.httpGet !== undefined)
    return httpGet(probe.httpGet.host ?? address, portOf(container, probe.httpGet.port as number), probe, timeout);
  if (probe?.tcpSocket !== undefined)
    return tcpSocket(probe.tcpSocket.host ?? address, portOf(container, probe.tcpSocket.port as number), timeout);
  return Promise.resolve(true);
};

const sidecarsOf = (pod: V1Pod): readonly V1Container[] =>
  (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");

/** Whether every container's readiness probe passes now. */
export const isReady = async (pod: V1Pod, address: string): Promise<boolean> => {
  const containers = [...(pod.spec?.containers ?? []), ...sidecarsOf(pod)];
  const results = await Promise.all(
    containers.map((container) => passes(container, container.readinessProbe, address)),
  );
  return results.every(Boolean);
};

/** Time between two looks at the pod, in milliseconds: the shortest of its probes'. */
export const periodOf = (pod: V1Pod): number =>
  1000 *
  Math.min(
    10,
    ...[...(pod.spec?.containers ?? []), ...sidecarsOf(pod)].flatMap(({ readinessProbe }) =>
      readinessProbe === undefined ? [] : [readinessProbe.periodSeconds ?? 10],
    ),
  );
