import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { V1Container, V1Pod } from "@kubernetes/client-node";
import { type PodNetwork, run } from "./network.js";

/** What this machine runs in place of a container's image: a program and its first arguments. */
export type LocalImages = ReadonlyMap<string, readonly string[]>;

export interface PodFiles {
  /** The service-account token that the kubelet would project. */
  readonly token: string;
  readonly rootCertificatePem: string;
}

export interface RunningPod {
  readonly namespace: string;
  readonly name: string;
  readonly address: string;
  readonly stop: () => Promise<void>;
}

const secretsRoot = "/var/run/secrets";
const proxyUser = 1337;

/** Resolves the downward API and `$(NAME)` the way the kubelet does; `$$` stands for one `$`. */
export const expand = (text: string, environment: ReadonlyMap<string, string>): string =>
  text.replace(/\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)/g, (whole, name: string | undefined) =>
    name === undefined ? "$" : (environment.get(name) ?? whole),
  );

const fieldOf = (pod: V1Pod, path: string, address: string): string => {
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed !== null) return pod.metadata?.[keyed[1] as "labels" | "annotations"]?.[keyed[2] ?? ""] ?? "";
  const fields: Readonly<Record<string, string | undefined>> = {
    "metadata.name": pod.metadata?.name,
    "metadata.namespace": pod.metadata?.namespace,
    "metadata.uid": pod.metadata?.uid,
    "spec.nodeName": "this-machine",
    "spec.serviceAccountName": pod.spec?.serviceAccountName ?? "default",
    "status.podIP": address,
    "status.podIPs": address,
    "status.hostIP": address,
  };
  const value = fields[path];
  if (value === undefined) throw new Error(`pod ${pod.metadata?.name}: fieldPath ${path} is not known here`);
  return value;
};

const resourceOf = (container: V1Container, resource: string): string =>
  container.resources?.limits?.[resource.replace(/^limits\./, "")] ?? "0";

export const environmentOf = (pod: V1Pod, container: V1Container, address: string): ReadonlyMap<string, string> => {
  const environment = new Map<string, string>();
  for (const variable of container.env ?? []) {
    const { fieldRef, resourceFieldRef } = variable.valueFrom ?? {};
    if (fieldRef !== undefined) environment.set(variable.name, fieldOf(pod, fieldRef.fieldPath, address));
    else if (resourceFieldRef !== undefined)
      environment.set(variable.name, resourceOf(container, resourceFieldRef.resource));
    else environment.set(variable.name, expand(variable.value ?? "", environment));
  }
  return environment;
};

/**
 * Starts an injected pod in its network namespace: init containers to their end, then the containers, in order.
 * Output goes to one file a container under `folder`. Every process ends with `stop`.
 */
export const startPod = async (
  pod: V1Pod,
  network: PodNetwork,
  folder: string,
  images: LocalImages,
  files: PodFiles,
): Promise<RunningPod> => {
  const secrets = join(folder, "secrets");
  await mkdir(join(secrets, "tokens"), { recursive: true });
  await mkdir(join(secrets, "istio"), { recursive: true });
  const token = join(secrets, "tokens", "istio-token");
  await writeFile(token, files.token, { mode: 0o600 });
  await chown(token, proxyUser, proxyUser);
  await writeFile(join(secrets, "istio", "root-cert.pem"), files.rootCertificatePem);

  const commandOf = (container: V1Container, environment: ReadonlyMap<string, string>): readonly string[] => {
    const local = images.get((container.image ?? "").replace(/:[^/]*$/, ""));
    const own = [...(container.command ?? []), ...(container.args ?? [])];
    if (local === undefined && container.command === undefined) {
      throw new Error(
        `container ${container.name}: image ${container.image} can't run on this machine; use one of ${[...images.keys()].join(", ")}`,
      );
    }
    const words = container.command === undefined ? [...(local ?? []), ...own] : own;
    return words.map((word) => expand(word, environment).replaceAll(secretsRoot, secrets));
  };

  for (const container of pod.spec?.initContainers ?? []) {
    const environment = environmentOf(pod, container, network.address);
    const [program = "", ...rest] = commandOf(container, environment);
    await run("ip", "netns", "exec", network.name, program, ...rest);
  }

  const children: ChildProcess[] = [];
  for (const container of pod.spec?.containers ?? []) {
    const environment = environmentOf(pod, container, network.address);
    const user = String(container.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser ?? 65534);
    const log = createWriteStream(join(folder, `${container.name}.log`));
    const child = spawn(
      "ip",
      [
        ...["netns", "exec", network.name],
        ...["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--pdeathsig=KILL", "--"],
        ...commandOf(container, environment),
      ],
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: { PATH: process.env["PATH"] ?? "", HOME: folder, ...Object.fromEntries(environment) },
      },
    );
    child.stdout.pipe(log);
    child.stderr.pipe(log);
    children.push(child);
  }

  const stop = async (): Promise<void> => {
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGTERM");
        const impatience = setTimeout(() => child.kill("SIGKILL"), 3000);
        await ended;
        clearTimeout(impatience);
      }),
    );
  };
  return {
    namespace: pod.metadata?.namespace ?? "default",
    name: pod.metadata?.name ?? "",
    address: network.address,
    stop,
  };
};
