import type { V1CustomResourceDefinition, V1Deployment, V1Pod } from "@kubernetes/client-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { stale } from "../../../src/cli/cluster/apply.ts";
import { definitionLacks, podTroubles, rolloutLacks } from "../../../src/cli/cluster/readiness.ts";
import { injectDocument } from "../../../src/cli/inject-document.ts";
import { renderManifests } from "../../../src/cli/manifests/render.ts";
import { loadValues } from "../../../src/cli/manifests/values.ts";
import type { InjectionResult } from "../../../src/injection/types.ts";

const deployment = (status: object): V1Deployment =>
  ({ metadata: { generation: 2 }, spec: { replicas: 2 }, status }) as V1Deployment;

test("a rollout is over when every replica is new and available and no old one is left", () => {
  const done = { observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2, replicas: 2 };
  assert.is(rolloutLacks(deployment(done)), undefined);
  assert.match(rolloutLacks(undefined)!, "not there");
  assert.match(rolloutLacks(deployment({ ...done, observedGeneration: 1 }))!, "not seen");
  assert.match(rolloutLacks(deployment({ ...done, updatedReplicas: 1 }))!, "1 of 2 replicas are of the new version");
  assert.match(rolloutLacks(deployment({ ...done, availableReplicas: 0 }))!, "0 of 2 replicas are available");
  assert.match(rolloutLacks(deployment({ ...done, replicas: 3 }))!, "old replicas");
});

test("a definition is waited for until its kind is served, and not for ever if it never will be", () => {
  const definition = (...conditions: readonly object[]): V1CustomResourceDefinition =>
    ({ metadata: { name: "sidecars.networking.istio.io" }, status: { conditions } }) as V1CustomResourceDefinition;
  assert.match(definitionLacks(undefined)!, "not served yet");
  assert.match(definitionLacks(definition({ type: "Established", status: "False" }))!, "sidecars");
  assert.is(definitionLacks(definition({ type: "Established", status: "True" })), undefined);
  const taken = { type: "NamesAccepted", status: "False", message: '"sc" is taken' };
  assert.throws(() => definitionLacks(definition(taken)), /sidecars\.networking\.istio\.io: "sc" is taken/);
});

test("pods that are not ready say why", () => {
  const waiting = { reason: "ImagePullBackOff", message: "no such image" };
  const pod = { metadata: { name: "a" }, status: { containerStatuses: [{ ready: false, state: { waiting } }] } };
  assert.equal(podTroubles([pod as unknown as V1Pod]), ["pod a: ImagePullBackOff, no such image"]);
});

test("what another profile held and this one does not is stale", () => {
  const before = renderManifests(loadValues({}));
  const after = renderManifests(loadValues({ set: ["profile=minimal"] }));
  assert.equal(
    stale(before, after).map(({ kind }) => kind),
    ["PodDisruptionBudget"],
  );
});

test("webhooks for pods leave the cluster's own namespaces alone, fail closed and soon", () => {
  interface Webhook {
    readonly failurePolicy: string;
    readonly timeoutSeconds: number;
    readonly namespaceSelector: {
      readonly matchExpressions: readonly {
        readonly key: string;
        readonly operator: string;
        readonly values?: string[];
      }[];
    };
  }
  const manifest = renderManifests(loadValues({})).find(({ kind }) => kind === "MutatingWebhookConfiguration");
  const hooks = manifest?.["webhooks"] as readonly Webhook[];
  assert.is(hooks.length, 4);
  for (const { failurePolicy, timeoutSeconds, namespaceSelector } of hooks) {
    assert.is(failurePolicy, "Fail");
    assert.ok(timeoutSeconds <= 10);
    const left = namespaceSelector.matchExpressions.find(({ key }) => key === "kubernetes.io/metadata.name");
    assert.is(left?.operator, "NotIn");
    for (const name of ["kube-system", "kube-node-lease", "istio-system"]) assert.ok(left?.values?.includes(name));
  }
});

test("no permission reaches further than its use", () => {
  for (const manifest of renderManifests(loadValues({}))) {
    const rules = (manifest["rules"] ?? []) as readonly Record<string, readonly string[]>[];
    for (const rule of rules) {
      assert.not([...rule["verbs"]!, ...rule["resources"]!, ...rule["apiGroups"]!].includes("*"));
      if (rule["resources"]!.includes("secrets")) assert.is(manifest.kind, "Role");
      const isOpen = (name: string): boolean => name === "events" || name.endsWith("/status");
      if (rule["verbs"]!.includes("patch") && !rule["resources"]!.every(isOpen))
        assert.ok(rule["resourceNames"], `${rule["resources"]} is changed by name only`);
    }
  }
});

test("injection reaches pod templates and leaves the rest", () => {
  const seen: string[] = [];
  const inject = (pod: V1Pod, namespace: string): InjectionResult => {
    seen.push(`${namespace}/${pod.metadata?.generateName ?? pod.metadata?.name}`);
    return { kind: "patched", pod: { ...pod, spec: { containers: [] } }, patch: [], warnings: ["odd"] };
  };
  const template = { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "a" }] } };
  const cron = {
    kind: "CronJob",
    metadata: { name: "c", namespace: "n" },
    spec: { jobTemplate: { spec: { template } } },
  };
  const service = { kind: "Service", metadata: { name: "s" } };
  const { object, notes } = injectDocument({ kind: "List", items: [cron, service] }, "default", inject);
  assert.equal(seen, ["n/c-"]);
  assert.equal(notes, ["CronJob c: odd"]);
  const injected = { metadata: { labels: { app: "a" } }, spec: { containers: [] } };
  assert.equal(object, {
    kind: "List",
    items: [{ ...cron, spec: { jobTemplate: { spec: { template: injected } } } }, service],
  });
  const refuse = () => ({ kind: "refused", message: "no" }) as const;
  assert.throws(() => injectDocument(cron, "default", refuse), /^no$/);
});

test.run();
