import type { V1Pod } from "@kubernetes/client-node";
import jsonPatch, { type Operation } from "fast-json-patch";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Manifest } from "../../src/cli/manifests/context.js";
import { renderManifests } from "../../src/cli/manifests/render.js";
import { loadValues } from "../../src/cli/manifests/values.js";
import { type ApiServer, openApiServer } from "../cluster/apiserver.ts";
import { run } from "../cluster/processes.ts";
import { inject, samplePod } from "../unit/injection/support.js";

/** What our accounts may do and how restricted our pods are, as a real API server judges it. */
let server: ApiServer;

const kubectl = (commandArguments: readonly string[], input?: object): Promise<string> =>
  run("kubectl", ["--kubeconfig", server.kubeconfig, ...commandArguments], {
    deadlineSeconds: 60,
    ...(input === undefined ? {} : { input: JSON.stringify(input) }),
  });

const manifests = renderManifests(loadValues({}));
const accounts = manifests.filter(({ kind }) => kind === "ServiceAccount");
const isWebhook = ({ kind }: Manifest): boolean => kind.endsWith("WebhookConfiguration");
const isDefinition = ({ kind }: Manifest): boolean => kind === "CustomResourceDefinition";

const level = "pod-security.kubernetes.io/enforce";
const namespaceOf = (name: string, enforced: string): object => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels: { [level]: enforced } },
});

test.before(async () => {
  server = await openApiServer();
  const account = (namespace: string): object => ({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "default", namespace },
  });
  const levels = ["restricted", "baseline", "privileged"].map((name) => `pss-${name}`);
  await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], {
    apiVersion: "v1",
    kind: "List",
    items: [
      ...manifests.filter((manifest) => !isWebhook(manifest) && !isDefinition(manifest)),
      ...levels.map((name) => namespaceOf(name, name.slice(4))),
      ...levels.map(account),
    ],
  });
});
test.after(() => server?.close());

interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** Every right in a namespace beyond what each account of any cluster has, one line for a resource. */
const rightsOf = async (account: string, namespace: string): Promise<readonly string[]> => {
  const text = await kubectl(
    ["create", "--validate=false", "-o", "json", "-f", "-", `--as=system:serviceaccount:istio-system:${account}`],
    { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectRulesReview", spec: { namespace } },
  );
  const { status } = JSON.parse(text) as { readonly status: { readonly resourceRules: readonly Rule[] } };
  return status.resourceRules
    .flatMap(({ verbs, apiGroups = [], resources = [], resourceNames = [] }) =>
      apiGroups.flatMap((group) =>
        resources.map((resource) => {
          const names = resourceNames.length === 0 ? "" : ` [${[...resourceNames].sort().join(" ")}]`;
          return `${group === "" ? "" : `${group}/`}${resource}${names}: ${[...verbs].sort().join(" ")}`;
        }),
      ),
    )
    .filter((line) => !/^authorization\.k8s\.io\/selfsubject|^authentication\.k8s\.io\/selfsubject/.test(line))
    .sort();
};

const configuration: readonly (readonly [group: string, resources: readonly string[]])[] = [
  [
    "networking.istio.io",
    [
      ...["destinationrules", "envoyfilters", "proxyconfigs", "serviceentries", "sidecars", "virtualservices"],
      ...["workloadentries", "workloadgroups"],
    ],
  ],
  ["security.istio.io", ["authorizationpolicies", "peerauthentications", "requestauthentications"]],
  ["telemetry.istio.io", ["telemetries"]],
];

/** Whatever is added here is a right that whoever takes over heddled has too. */
const everywhere: readonly string[] = [
  "admissionregistration.k8s.io/mutatingwebhookconfigurations [heddle-sidecar-injector]: get list patch watch",
  "admissionregistration.k8s.io/validatingwebhookconfigurations [heddle-validator]: get list patch watch",
  "authentication.k8s.io/tokenreviews: create",
  "configmaps [istio-ca-root-cert]: get list update watch",
  "configmaps: create",
  "discovery.k8s.io/endpointslices: get list watch",
  "events: create patch",
  "namespaces: get list watch",
  "nodes: get list watch",
  "pods: get list watch",
  "services: get list watch",
  ...configuration.flatMap(([group, resources]) => [
    ...resources.map((resource) => `${group}/${resource}: get list watch`),
    ...resources.map((resource) => `${group}/${resource}/status: patch`),
  ]),
];
const atHome: readonly string[] = [
  "configmaps [heddle-ca]: get list patch watch",
  "configmaps [istio istio-sidecar-injector]: get list watch",
  "coordination.k8s.io/leases [heddle-ca heddled-status]: get update",
  "coordination.k8s.io/leases: create",
  "secrets [cacerts]: get list watch",
  "secrets [heddle-trust istio-ca-secret]: get list update watch",
  "secrets: create",
];

test("heddled has one account, and it may do this and nothing else", async () => {
  assert.equal(
    accounts.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
    ["istio-system/heddled"],
  );
  assert.equal(await rightsOf("heddled", "pss-baseline"), [...everywhere].sort());
  assert.equal(await rightsOf("heddled", "istio-system"), [...everywhere, ...atHome].sort());
});

/** The API server's answer to a pod, which is not kept: "" if it is let in. */
const refusalOf = async (namespace: string, pod: V1Pod): Promise<string> => {
  const placed = { ...pod, metadata: { ...pod.metadata, namespace } };
  try {
    await kubectl(["create", "--dry-run=server", "-f", "-"], placed);
    return "";
  } catch (error) {
    return (error as Error & { readonly stderr?: string }).stderr ?? (error as Error).message;
  }
};

test("heddled's pods are let into its namespace, which takes only restricted ones", async () => {
  const home = manifests.find(({ kind }) => kind === "Namespace");
  assert.is(home?.metadata.labels?.[level], "restricted");
  const deployment = manifests.find(({ kind }) => kind === "Deployment") as unknown as {
    readonly spec: { readonly template: V1Pod };
  };
  const pod = { apiVersion: "v1", kind: "Pod", ...deployment.spec.template };
  pod.metadata = { ...pod.metadata, name: "heddled-test" };
  assert.is(await refusalOf("istio-system", pod), "");
  const [container] = pod.spec!.containers;
  const loose = { ...container!, securityContext: { ...container!.securityContext, capabilities: {} } };
  assert.match(
    await refusalOf("istio-system", { ...pod, spec: { ...pod.spec!, containers: [loose] } }),
    /violates PodSecurity "restricted.*unrestricted capabilities/,
  );
});

const restricted: V1Pod = samplePod({
  spec: {
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: "app",
        image: "example/web:1",
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  },
});

const injected = (annotations: Record<string, string> = {}): V1Pod => {
  const pod: V1Pod = { ...restricted, metadata: { ...restricted.metadata, annotations } };
  const result = inject(pod);
  if (result.kind !== "patched") throw new Error(`not injected: ${JSON.stringify(result)}`);
  return jsonPatch.applyPatch(structuredClone(pod), result.patch as Operation[]).newDocument;
};

test("an injected pod is privileged by its init container's NET_ADMIN and nothing else", async () => {
  assert.is(await refusalOf("pss-restricted", restricted), "");
  const pod = injected();
  assert.is(await refusalOf("pss-privileged", pod), "");
  const baseline = await refusalOf("pss-baseline", pod);
  assert.match(baseline, /non-default capabilities \(container "istio-init" must not include "NET_ADMIN"/);
  assert.not.match(baseline, "istio-proxy");
  const rest = { ...pod, spec: { ...pod.spec!, initContainers: [] } };
  assert.is(await refusalOf("pss-restricted", rest), "");
});

test("with TPROXY the proxy itself needs NET_ADMIN", async () => {
  const pod = injected({ "sidecar.istio.io/interceptionMode": "TPROXY" });
  const baseline = await refusalOf("pss-baseline", { ...pod, spec: { ...pod.spec!, initContainers: [] } });
  assert.match(baseline, /container "istio-proxy" must not include "NET_ADMIN"/);
});

test("a network policy leaves heddled's ports open and no other", () => {
  const policy = manifests.find(({ kind }) => kind === "NetworkPolicy") as unknown as {
    readonly spec: { readonly ingress: readonly { readonly ports: readonly { readonly port: number }[] }[] };
  };
  assert.equal(policy.spec.ingress.flatMap(({ ports }) => ports.map(({ port }) => port)).sort(), [15012, 15014, 15017]);
  assert.not(
    renderManifests(loadValues({ set: ["controlPlane.networkPolicy=false"] })).some(
      ({ kind }) => kind === "NetworkPolicy",
    ),
  );
});

test.run();
