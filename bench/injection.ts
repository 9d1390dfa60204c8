import { type AdmissionClient, createAdmissionClient, reviewOf } from "./support/admission.js";
import { startChild } from "./support/child.js";
import { numberOption, type Row, report } from "./support/report.js";
import { median, quantile } from "./support/statistics.js";
import type { WebhookStart, WebhookTimes } from "./support/webhook.js";

/**
 * Admission over HTTPS on loopback, keep-alive connections: the injector against a webhook on the same server that
 * allows each pod as it is, in turns, for a common pod and one with 2,000 environment variables. One request at a time
 * gives the latency, eight connections the rate.
 * Usage: node --import tsx bench/injection.ts [--requests 2000 (a pod and webhook)] [--json]
 */
const requests = numberOption("requests", 2000);
const connections = 8;
const rounds = 5;

interface Measured {
  readonly latencies: number[];
  readonly rates: number[];
  readonly servers: WebhookTimes[];
}

const oneByOne = async (client: AdmissionClient, body: string, count: number): Promise<readonly number[]> => {
  const latencies: number[] = [];
  for (let sent = 0; sent < count; sent++) latencies.push(await client.admit(body));
  return latencies;
};

const rateOf = async (client: AdmissionClient, body: string, count: number): Promise<number> => {
  const began = performance.now();
  const each = Math.ceil(count / connections);
  await Promise.all(Array.from({ length: connections }, () => oneByOne(client, body, each)));
  return (each * connections * 1000) / (performance.now() - began);
};

const server = await startChild("webhook");
const clients: AdmissionClient[] = [];
try {
  const { injecting, allowing } = await server.ask<WebhookStart>("start");
  const webhooks = [
    { name: "injector", client: createAdmissionClient(injecting, connections) },
    { name: "no-op", client: createAdmissionClient(allowing, connections) },
  ];
  clients.push(...webhooks.map(({ client }) => client));
  const rows: Row[] = [];
  for (const [pod, variables] of [
    ["common pod", 0],
    ["2,000 variables", 2000],
  ] as const) {
    const body = reviewOf("shop", variables);
    // A pod of 2,000 variables is some hundred kilobytes; a quarter of the requests says as much.
    const count = Math.ceil((variables === 0 ? requests : requests / 4) / rounds);
    const results = new Map(
      webhooks.map(({ name }): [string, Measured] => [name, { latencies: [], rates: [], servers: [] }]),
    );
    for (const { client } of webhooks) await rateOf(client, body, count);
    for (let round = 0; round < rounds; round++)
      for (const { name, client } of webhooks) {
        const measured = results.get(name)!;
        await server.ask("take");
        measured.latencies.push(...(await oneByOne(client, body, Math.ceil(count / 2))));
        measured.servers.push(await server.ask<WebhookTimes>("take"));
        measured.rates.push(await rateOf(client, body, Math.ceil(count / 2)));
      }
    const rowOf = (name: string): Readonly<Record<string, number>> => {
      const { latencies, rates, servers } = results.get(name)!;
      return {
        "p50 ms": median(latencies),
        "p99 ms": quantile(latencies, 0.99),
        "inside p50 ms": median(servers.map((times) => times.p50Milliseconds)),
        "inside p99 ms": median(servers.map((times) => times.p99Milliseconds)),
        "admissions/s": median(rates),
      };
    };
    const [injector, noop] = [rowOf("injector"), rowOf("no-op")];
    rows.push({ pod, webhook: "injector", ...injector }, { pod, webhook: "no-op", ...noop });
    rows.push({
      pod,
      webhook: "ratio",
      ...Object.fromEntries(Object.entries(injector).map(([measure, value]) => [measure, value / noop[measure]!])),
    });
  }
  report("injection", rows);
} finally {
  for (const client of clients) client.close();
  await server.stop();
}
