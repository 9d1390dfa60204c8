import { run } from "./network.js";
import type { RunningPod } from "./pod.js";

export interface ReportOptions {
  readonly pods: readonly RunningPod[];
  readonly from: string;
  readonly url: string;
}

/** GET inside a pod's network; 200 characters of script, so that nothing but Node is needed there. */
const fetchInside = async ({ network }: RunningPod, url: string): Promise<string> => {
  const script = `const r=await fetch(process.argv[1]);process.stdout.write(await r.text())`;
  const [program = "", ...rest] = network.wrap([process.execPath, "--input-type=module", "-e", script, url]);
  return run(program, ...rest);
};

const statOf = (text: string, name: RegExp): number =>
  text
    .split("\n")
    .filter((line) => name.test(line))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);

interface CallAnswer {
  readonly status?: number;
  readonly error?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly text?: string;
}

/** Shows the injected pods, sends one request through both proxies and prints what came of it. */
export const report = async ({ pods, from, url }: ReportOptions): Promise<void> => {
  console.log("\nNAME        READY  ADDRESS        CONTAINERS");
  for (const { name, address, pod } of pods) {
    const names = (pod.spec?.containers ?? []).map(({ name }) => name);
    console.log(
      `${name.padEnd(12)}${`${names.length}/${names.length}`.padEnd(7)}${address.padEnd(15)}${names.join(", ")}`,
    );
  }
  const caller = pods.find(({ name }) => name === from);
  if (caller === undefined)
    throw new Error(`--from ${from}: there is no such pod; use one of ${pods.map(({ name }) => name).join(", ")}`);
  console.log(`\n${from} asks for ${url}`);
  const began = performance.now();
  const call = JSON.parse(
    await fetchInside(caller, `http://127.0.0.1:8080/call?url=${encodeURIComponent(url)}`),
  ) as CallAnswer;
  const milliseconds = performance.now() - began;
  if (call.status === undefined) throw new Error(`no answer: ${call.error ?? "unknown"}`);
  const seen = JSON.parse(call.text ?? "{}") as {
    readonly headers?: Readonly<Record<string, string>>;
    readonly path?: string;
  };
  const identity = /URI=([^;,]+)/.exec(seen.headers?.["x-forwarded-client-cert"] ?? "")?.[1];
  console.log(`  status        ${call.status}`);
  console.log(
    `  caller        ${identity ?? "not verified: plaintext"}   (the certificate that the callee's proxy verified)`,
  );
  console.log(`  path          ${seen.path}`);
  console.log(
    `  upstream      ${call.headers?.["x-envoy-upstream-service-time"] ?? "?"} ms of ${milliseconds.toFixed(1)} ms, with the start of a client`,
  );
  for (const pod of pods) {
    const stats = await fetchInside(pod, "http://127.0.0.1:15090/stats/prometheus");
    const handshakes = statOf(stats, /^envoy_(cluster|listener)_ssl_handshake\{/);
    const requests = statOf(stats, /^envoy_cluster_upstream_rq_total\{.*(outbound|inbound)\|/);
    console.log(`  ${pod.name.padEnd(12)}  ${requests} requests sent on, ${handshakes} TLS handshakes`);
  }
};
