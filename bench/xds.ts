import { createAdmissionClient, reviewOf } from "./support/admission.js";
import { type Child, startChild } from "./support/child.js";
import type { ControlPlaneStart, Usage } from "./support/control-plane.js";
import { namespaceOf } from "./support/mesh.js";
import { numberOption, type Row, report, textOption, transposed } from "./support/report.js";
import { median, quantile } from "./support/statistics.js";

/**
 * The control plane under connected proxies: all connect at once (with the webhook asked meanwhile), then one endpoint
 * of one service changes, again and again. Control plane and proxies are processes of their own, over TLS on loopback.
 * Usage: node --import tsx bench/xds.ts [--streams 200,1000,5000] [--services 1000] [--endpoints 5 (each)]
 *   [--changes 20] [--against CHECKOUT (measured in turns with this one)] [--profile FOLDER (of CPU profiles)] [--json]
 */
const services = numberOption("services", 1000);
const endpoints = numberOption("endpoints", 5);
const changes = numberOption("changes", 20);
const sizes = (textOption("streams") ?? "200,1000,5000").split(",").map(Number);
const against = textOption("against");
const profile = textOption("profile");
const mebibyte = 1 << 20;
const streamsAProcess = 2500;
const together = 1000;
/** Connected before the others, so that what is made once for each namespace is told apart from what each proxy costs. */
const firstOf = (streams: number): number => Math.min(100, Math.ceil(streams / 2));

/** Asks the webhook every 20 ms while something goes on, from its first moment; gives the latencies in ms. */
const probeAdmission = async (start: ControlPlaneStart, run: () => Promise<unknown>): Promise<readonly number[]> => {
  const client = createAdmissionClient(
    { port: start.webhookPort, serverName: "heddled.istio-system.svc", rootsPem: start.rootsPem },
    16,
  );
  const review = reviewOf(namespaceOf(0), 0);
  try {
    for (let warm = 0; warm < 50; warm++) await client.admit(review);
    const pending: Promise<number>[] = [];
    const ask = (): void => {
      pending.push(client.admit(review));
    };
    const running = run();
    ask();
    const timer = setInterval(ask, 20);
    await running.finally(() => clearInterval(timer));
    return await Promise.all(pending);
  } finally {
    client.close();
  }
};

const connectAll = async (
  loads: readonly Child[],
  start: ControlPlaneStart,
  first: number,
  streams: number,
): Promise<void> => {
  for (let from = first; from < streams; from += together) {
    const to = Math.min(from + together, streams);
    const share = Math.ceil((to - from) / loads.length);
    await Promise.all(
      loads.map((load, at) =>
        load.ask("connect", {
          target: { port: start.port, rootsPem: start.rootsPem },
          from: from + at * share,
          to: Math.min(from + (at + 1) * share, to),
          endpoints,
        }),
      ),
    );
  }
};

const measure = async (checkout: string | undefined, streams: number): Promise<Row> => {
  const first = firstOf(streams);
  const flags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const server = await startChild("control-plane", checkout, flags);
  const loads: Child[] = [];
  try {
    while (loads.length * streamsAProcess < streams) loads.push(await startChild("proxies"));
    const start = await server.ask<ControlPlaneStart>("start", { services, endpoints });
    const cold = performance.now();
    await connectAll(loads, start, 0, first);
    const firstSeconds = (performance.now() - cold) / 1000;
    const warm = await server.ask<Usage>("usage");

    let connectSeconds = 0;
    const admissions = await probeAdmission(start, async () => {
      const began = performance.now();
      await connectAll(loads, start, first, streams);
      connectSeconds = (performance.now() - began) / 1000;
    });
    const full = await server.ask<Usage>("usage");
    const perThousand = (bytes: number): number => (bytes / mebibyte / (streams - first)) * 1000;
    const wire = () => Promise.all(loads.map((load) => load.ask<{ received: number }>("wire")));
    const received = async () => (await wire()).reduce((sum, each) => sum + each.received, 0);
    const connectBytes = await received();

    const durations: number[] = [];
    for (let round = 0; round < changes; round++)
      durations.push(
        await server.ask<number>("change", {
          service: (round >> 1) % services,
          extra: 1 - (round & 1),
        }),
      );
    const after = await server.ask<Usage>("usage");
    const changeBytes = (await received()) - connectBytes;
    return {
      code: checkout === undefined ? "this" : "against",
      streams,
      "change p50 ms": median(durations),
      "change max ms": Math.max(...durations),
      "encodes/change": (after.encodes - full.encodes) / changes,
      "CPU ms/change": after.cpuMilliseconds / changes,
      "wire bytes/change/stream": changeBytes / changes / streams,
      "RSS MB/1000": perThousand(full.residentBytes - warm.residentBytes),
      "heap MB/1000": perThousand(full.liveBytes - warm.liveBytes),
      "first 100 connected s": firstSeconds,
      "others connected s": connectSeconds,
      "CPU ms/connection": full.cpuMilliseconds / (streams - first),
      "connect MB/stream": connectBytes / mebibyte / streams,
      "admission p50 ms": median(admissions),
      "admission p99 ms": quantile(admissions, 0.99),
      "loop p99 ms": full.loopDelayP99Milliseconds,
      "loop max ms": full.loopDelayMaxMilliseconds,
    };
  } finally {
    await Promise.all([...loads, server].map((child) => child.stop()));
  }
};

/** Resident MB that this many connections cost where nothing is served on them; the first hundred are warmth. */
const measureBare = async (streams: number): Promise<number> => {
  const [server, load] = [await startChild("bare-server"), await startChild("proxies")];
  try {
    const target = await server.ask<object>("start");
    const first = firstOf(streams);
    await load.ask("connectBare", { target, count: first });
    const before = await server.ask<number>("resident");
    await load.ask("connectBare", { target, count: streams });
    return (((await server.ask<number>("resident")) - before) / mebibyte / streams) * 1000;
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
};

const rows: Row[] = [];
for (const streams of sizes) {
  const bare = { "bare connections, RSS MB/1000": await measureBare(Math.min(streams, streamsAProcess)) };
  if (against !== undefined) rows.push({ ...(await measure(against, streams)), ...bare });
  rows.push({ ...(await measure(undefined, streams)), ...bare });
}
report(`xds: ${services} services, ${services * endpoints} endpoints`, rows, transposed(rows));
