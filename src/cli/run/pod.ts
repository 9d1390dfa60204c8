import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { V1Container, V1Pod } from "@kubernetes/client-node";
import { proxyContainerOf } from "../sidecar.js";
import { environmentOf, expand } from "./environment.js";
import { type PodNetwork, type ProcessUser, run } from "./network.js";
import { passes } from "./probe.js";

/** What this machine runs in place of containers' images. */
export interface Machine {
  /** A program and its first arguments by image, without the tag. */
  readonly images: ReadonlyMap<string, readonly string[]>;
  /** Files that the images hold, by their path there. */
  readonly files: ReadonlyMap<string, string>;
}

export interface PodSecrets {
  /** The service-account token that the kubelet would project. */
  readonly token: string;
  readonly rootCertificatePem: string;
}

export interface RunningPod {
  /** As injected, with address and uid. */
  readonly pod: V1Pod;
  readonly namespace: string;
  readonly name: string;
  readonly address: string;
  readonly network: PodNetwork;
  /** What a container has written so far. */
  readonly log: (container: string) => Promise<string>;
  /** As the kubelet does: preStop, SIGTERM, and after a grace time SIGKILL. */
  readonly stop: () => Promise<void>;
  /** At once. */
  readonly kill: () => Promise<void>;
  /** At once, and nobody is told: `died` resolves. */
  readonly crash: () => Promise<void>;
  /** Resolves when a container has ended by itself. */
  readonly died: Promise<string>;
}

const secretsRoot = "/var/run/secrets";
const nobody = 65534;
const graceMilliseconds = 3000;

interface StartedContainer {
  readonly container: V1Container;
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
}

const userOf = (pod: V1Pod, container: V1Container): ProcessUser => {
  const uid = container.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser ?? nobody;
  const gid = container.securityContext?.runAsGroup ?? pod.spec?.securityContext?.runAsGroup ?? uid;
  return { uid, gid, capabilities: container.securityContext?.capabilities?.add ?? [] };
};

const commandOf = (container: V1Container, machine: Machine): readonly string[] => {
  const image = machine.images.get((container.image ?? "").replace(/:[^/:]*$/, ""));
  if (container.command !== undefined) return [...container.command, ...(container.args ?? [])];
  if (image === undefined)
    throw new Error(
      `container ${container.name}: image ${container.image} can't run on this machine; use one of ${[...machine.images.keys()].join(", ")}, or give a command`,
    );
  return [...image, ...(container.args ?? [])];
};

const writeSecrets = async (pod: V1Pod, folder: string, secrets: PodSecrets): Promise<void> => {
  await mkdir(join(folder, "tokens"), { recursive: true });
  await mkdir(join(folder, "istio"), { recursive: true });
  const token = join(folder, "tokens", "istio-token");
  await writeFile(token, secrets.token, { mode: 0o600 });
  const proxy = proxyContainerOf(pod);
  if (proxy !== undefined && process.getuid?.() === 0) {
    const { uid, gid } = userOf(pod, proxy);
    await chown(token, uid, gid);
  }
  await writeFile(join(folder, "istio", "root-cert.pem"), secrets.rootCertificatePem);
};

const endOf = async ({ child, ended }: StartedContainer, grace: number): Promise<void> => {
  child.kill(grace > 0 ? "SIGTERM" : "SIGKILL");
  const impatience = setTimeout(() => child.kill("SIGKILL"), grace);
  await ended;
  clearTimeout(impatience);
};

/**
 * Starts an injected pod in its network: init containers to their end, then the containers, in order.
 * Output goes to one file a container under `folder`. Every process ends with `stop` or `kill`, or with this process.
 */
export const startPod = async (
  pod: V1Pod,
  network: PodNetwork,
  folder: string,
  machine: Machine,
  secrets: PodSecrets,
): Promise<RunningPod> => {
  const { name = "", namespace = "default" } = pod.metadata ?? {};
  const address = network.addresses[0] ?? "";
  const files = new Map([...machine.files, [secretsRoot, join(folder, "secrets")]]);
  await writeSecrets(pod, join(folder, "secrets"), secrets);

  const wordsOf = (container: V1Container): readonly string[] => {
    const environment = environmentOf(pod, container);
    const words = commandOf(container, machine).map((word) =>
      [...files].reduce((text, [path, local]) => text.replaceAll(path, local), expand(word, environment)),
    );
    return network.wrap(words, userOf(pod, container));
  };

  const started: StartedContainer[] = [];
  const death = Promise.withResolvers<string>();
  let isEnding = false;

  const launch = (written: V1Container): void => {
    const container = network.fit(written, pod);
    if (container === undefined) return;
    const [program = "", ...rest] = wordsOf(container);
    const log = createWriteStream(join(folder, `${container.name}.log`));
    const child = spawn(program, rest, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, ...Object.fromEntries(environmentOf(pod, container)) },
    });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    const ended = new Promise<void>((resolve) => {
      child.once("error", (error) => {
        log.end(`${error.message}\n`);
        resolve();
      });
      child.once("close", () => {
        log.end();
        resolve();
      });
    });
    void ended.then(() => {
      if (!isEnding) death.resolve(container.name);
    });
    started.push({ container, child, ended });
  };

  const end = async (grace: number): Promise<void> => {
    isEnding = true;
    await Promise.all(
      started.map(async (one) => {
        const sleep = grace > 0 ? (one.container.lifecycle?.preStop?.sleep?.seconds ?? 0) * 1000 : 0;
        if (sleep > 0) {
          const waiting = Promise.withResolvers<void>();
          const timer = setTimeout(waiting.resolve, sleep);
          await Promise.race([waiting.promise, one.ended]);
          clearTimeout(timer);
        }
        await endOf(one, grace);
      }),
    );
  };

  const kill = (): Promise<void> => end(0);
  const crash = async (): Promise<void> => {
    await Promise.all(started.map((one) => endOf(one, 0)));
  };
  try {
    for (const container of pod.spec?.initContainers ?? []) {
      if (container.restartPolicy === "Always") {
        launch(container);
        const deadline = Date.now() + 30_000;
        while (!(await passes(container, container.startupProbe, address)) && Date.now() < deadline)
          await new Promise((resolve) => setTimeout(resolve, 50));
        continue;
      }
      const fitted = network.fit(container, pod);
      if (fitted === undefined) continue;
      const [program = "", ...rest] = wordsOf(fitted);
      await run(program, ...rest).catch((error: Error) => {
        throw new Error(`pod ${name}: init container ${container.name}: ${error.message}`);
      });
    }
    for (const container of pod.spec?.containers ?? []) launch(container);
  } catch (error) {
    await kill();
    throw error;
  }
  return {
    pod,
    namespace,
    name,
    address,
    network,
    log: (container) => readFile(join(folder, `${container}.log`), "utf8").catch(() => ""),
    stop: () => end(graceMilliseconds),
    kill,
    crash,
    died: death.promise,
  };
};
