import { readFileSync } from "node:fs";
import { type AdmitPod, startAdmissionServer } from "../../src/admission/server.js";
import { createCompiler } from "../../src/compile/compiler.js";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { parseTemplate } from "../../src/injection/template.js";
import { createInjector } from "../../src/main/admit.js";
import { noProxyConfigs } from "../../src/model/proxy-config.js";
import type { AdmissionTarget } from "./admission.js";
import { serveParent } from "./child.js";
import { quantile } from "./statistics.js";

/** Two webhooks in one process, on the same server code: the injector, and one that allows every pod as it is. */
export interface WebhookStart {
  readonly injecting: AdmissionTarget;
  readonly allowing: AdmissionTarget;
}

export interface WebhookTimes {
  /** Inside the server, from the decoded body to the verdict. */
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  readonly cpuMilliseconds: number;
}

export const webhookNamespace = "shop";
const serverName = "heddled.istio-system.svc";

let times: number[] = [];
let cpuBefore = process.cpuUsage();

const start = async (): Promise<WebhookStart> => {
  const compiler = createCompiler();
  compiler.apply([
    {
      kind: "Namespace",
      namespace: "",
      name: webhookNamespace,
      object: { metadata: { name: webhookNamespace, labels: { "istio-injection": "enabled" } } },
    },
  ]);
  const template = parseTemplate(readFileSync("templates/sidecar.yaml", "utf8"));
  const inject = createInjector({
    revision: "default",
    injection: () => ({
      template,
      values: {
        proxyImage: "heddle/proxyv2:1",
        initImage: "heddle/proxyv2:1",
        resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "2", memory: "1Gi" } },
      },
    }),
    cluster: () => ({
      controlPlaneHost: serverName,
      controlPlanePort: 15012,
      trustDomain: "cluster.local",
      clusterDomain: "cluster.local",
      clusterId: "Kubernetes",
      network: "",
      ipFamilies: ["IPv4"],
    }),
  })(compiler, () => noProxyConfigs);
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  const certificate = await authority.issue({ dnsNames: [serverName] }, 3600);
  const serve = async (admit: AdmitPod): Promise<AdmissionTarget> => {
    const server = await startAdmissionServer({
      host: "127.0.0.1",
      port: 0,
      certificate,
      admit,
      observe: (_outcome, seconds) => times.push(seconds * 1000),
      failed: (error) => console.error(error.message),
    });
    return { port: server.port, serverName, rootsPem: authority.rootsPem };
  };
  return { injecting: await serve(inject), allowing: await serve(() => ({ allowed: true })) };
};

/** What was measured since the last asking. */
const take = (): WebhookTimes => {
  const { user, system } = process.cpuUsage(cpuBefore);
  const result = {
    p50Milliseconds: quantile(times, 0.5),
    p99Milliseconds: quantile(times, 0.99),
    cpuMilliseconds: (user + system) / 1000,
  };
  times = [];
  cpuBefore = process.cpuUsage();
  return result;
};

serveParent({ start, take });
