import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import type { AuthorizationPolicy } from "../../../src/api/security/authorization-policy-spec.js";
import { type Compiler, createCompiler } from "../../../src/compile/compiler.js";
import { compileAuthorization } from "../../../src/compile/policy/authorization.js";
import { literal } from "../../../src/compile/policy/patterns.js";
import { requestPrincipalOf } from "../../../src/compile/policy/tokens.js";
import { typeUrls } from "../../../src/compile/resources.js";
import { TypedExtensionConfigSchema } from "../../../src/proto/envoy/config/core/v3/extension_pb.js";
import { FilterChainSchema } from "../../../src/proto/envoy/config/listener/v3/listener_components_pb.js";
import { RBAC_Action } from "../../../src/proto/envoy/config/rbac/v3/rbac_pb.js";
import { RBACSchema } from "../../../src/proto/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { ResourceSchema } from "../../../src/proto/envoy/service/discovery/v3/discovery_pb.js";
import { decode, podYaml } from "../../support/compiled.js";

const policy = (spec: unknown, name = "p", namespace = "shop", annotations = {}): AuthorizationPolicy =>
  ({ metadata: { name, namespace, annotations }, spec }) as unknown as AuthorizationPolicy;

const event = (object: AuthorizationPolicy, isGone = false): ObjectEvent => ({
  kind: "AuthorizationPolicy",
  namespace: object.metadata!.namespace!,
  name: object.metadata!.name!,
  object: isGone ? undefined : object,
});

const pod = (name: string, labels: object = { app: "web" }): ObjectEvent => ({
  kind: "Pod",
  namespace: "shop",
  name,
  object: JSON.parse(podYaml(name, "shop", { labels })),
});

const open = (...events: readonly ObjectEvent[]) => {
  const closed: string[] = [];
  const compiler = createCompiler(defaultMeshConfig, undefined, (what, { message }) =>
    closed.push(`${what}: ${message}`),
  );
  compiler.apply([pod("web"), ...events]);
  return { compiler, closed, workload: compiler.attach("shop", "web", "web")! };
};

type Workload = NonNullable<ReturnType<Compiler["attach"]>>;

const slotOf = ({ layers }: Workload, name: string) => {
  const encoded = layers
    .map((layer) => layer.get(typeUrls.extension, name))
    .find((found) => found !== undefined)!.encoded;
  const { typedConfig } = fromBinary(TypedExtensionConfigSchema, fromBinary(ResourceSchema, encoded).resource!.value);
  return fromBinary(RBACSchema, typedConfig!.value);
};
const deny = "envoy.filters.http.rbac.deny";
const allow = "envoy.filters.http.rbac.allow";

/** What only objects that got past admission hold; each breaks the translation in another place. */
const broken: readonly object[] = [
  { from: [{ source: { ipBlocks: ["nowhere"] } }] },
  { from: [{ source: { principals: [] } }] },
  { from: [{ source: { namespaces: [""] } }] },
  { from: [{ source: { serviceAccounts: [7] } }] },
  { to: [{ operation: { ports: ["http"] } }] },
  { to: [{ operation: { paths: [null] } }] },
  { when: [{ key: "source.nothing", values: ["a"] }] },
  { when: [{ key: "source.ip" }] },
  { when: "always" },
];

test("a rule that cannot be compiled closes: ALLOW allows nothing, DENY and CUSTOM deny all, and the log tells once", () => {
  for (const rule of broken) {
    const told = JSON.stringify(rule);
    const { workload, closed, compiler } = open(event(policy({ rules: [{}, rule] })));
    assert.equal(slotOf(workload, allow).rules?.policies, {}, told);
    assert.is(slotOf(workload, allow).rules?.action, RBAC_Action.ALLOW, told);
    assert.is(closed.length, 1, told);
    assert.match(closed[0]!, /^AuthorizationPolicy shop\/p: ./, told);
    compiler.apply([pod("web", { app: "web", version: "2" })]);
    assert.is(closed.length, 1, "told once");
    for (const action of ["DENY", "CUSTOM"]) {
      const { workload: denied } = open(event(policy({ action, rules: [rule] })));
      const rules = Object.values(slotOf(denied, deny).rules?.policies ?? {});
      assert.equal(
        rules.map(({ permissions }) => permissions.map(({ rule: each }) => each.case)),
        [["any"]],
        told,
      );
      const chains = decode(denied).listeners.get("virtualInbound")!.filterChains;
      const tcp = chains.find(({ name }) => name === "passthrough-tcp")!;
      const { configType } = tcp.filters.at(-1)!;
      const bytes = configType.case === "typedConfig" ? configType.value.value : [];
      assert.match(Buffer.from(bytes).toString(), "BlackHoleCluster");
    }
  }
});

test("what cannot be compiled and enforces nothing closes nothing", () => {
  const rules = [broken[0]];
  for (const [spec, annotations] of [
    [{ action: "AUDIT", rules }, {}],
    [{ action: "DENY", rules }, { "istio.io/dry-run": "true" }],
    [{ action: "CUSTOM", rules }, { "istio.io/dry-run": "true" }],
  ] as const) {
    const { workload } = open(event(policy(spec, "p", "shop", annotations)));
    assert.is(slotOf(workload, deny).rules, undefined);
    assert.is(slotOf(workload, allow).rules, undefined);
  }
});

test("one policy that cannot be compiled leaves the others as they are", () => {
  const { workload } = open(
    event(policy({ rules: [broken[0]] }, "bad")),
    event(policy({ rules: [{ to: [{ operation: { methods: ["GET"] } }] }] }, "good")),
  );
  assert.equal(Object.keys(slotOf(workload, allow).rules?.policies ?? {}), ["ns[shop]-policy[good]-rule[0]"]);
});

const chainBytes = (workload: Workload): Readonly<Record<string, string>> =>
  Object.fromEntries(
    decode(workload)
      .listeners.get("virtualInbound")!
      .filterChains.map((chain) => [
        chain.name,
        Buffer.from(toBinary(FilterChainSchema, create(FilterChainSchema, chain))).toString("base64"),
      ]),
  );

test("a policy changes the chains of TCP alone, and its end makes them what they were", () => {
  const { workload, compiler } = open();
  const before = chainBytes(workload);
  const one = policy({ rules: [{ from: [{ source: { namespaces: ["jobs"] } }] }] });
  compiler.apply([event(one)]);
  const after = chainBytes(workload);
  const changed = Object.keys(before).filter((name) => before[name] !== after[name]);
  assert.equal(changed.sort(), ["passthrough-mtls-tcp", "passthrough-tcp", "passthrough-tls"]);
  compiler.apply([event(one, true)]);
  assert.equal(chainBytes(workload), before);
});

test("a chain that no connection can pass does not call the application: by port, and by identity in plaintext", () => {
  const closed = (spec: object): readonly string[] => {
    const { workload, compiler } = open(event(policy(spec)));
    const tcp = { kind: "Service", namespace: "shop", name: "web", object: service } as unknown as ObjectEvent;
    compiler.apply([tcp]);
    return decode(workload)
      .listeners.get("virtualInbound")!
      .filterChains.filter(({ name, filters }) => {
        const { configType } = filters.at(-1)!;
        const bytes = configType.case === "typedConfig" ? configType.value.value : [];
        return name !== "virtualInbound-blackhole" && Buffer.from(bytes).includes("BlackHoleCluster");
      })
      .map(({ name }) => name)
      .sort();
  };
  const service = {
    metadata: { name: "web", namespace: "shop" },
    spec: { clusterIP: "10.96.0.1", selector: { app: "web" }, ports: [{ name: "tcp", port: 70 }] },
  };
  const identity = { from: [{ source: { namespaces: ["jobs"] } }] };
  const port = (...ports: readonly string[]) => ({ to: [{ operation: { ports } }] });
  const plain = ["0.0.0.0_70-tcp", "0.0.0.0_70-tls", "passthrough-tcp", "passthrough-tls"];
  const ofPort = ["0.0.0.0_70-mtls-tcp", "0.0.0.0_70-tcp", "0.0.0.0_70-tls"];
  assert.equal(closed({ rules: [{}] }), []);
  assert.equal(closed({ rules: [identity] }), plain);
  assert.equal(closed({ action: "DENY", rules: [identity] }), []);
  assert.equal(closed({ action: "DENY", rules: [{ from: [{ source: { notNamespaces: ["jobs"] } }] }] }), plain);
  assert.equal(closed({ rules: [port("71")] }), ofPort);
  assert.equal(closed({ action: "DENY", rules: [port("70")] }), ofPort);
  assert.equal(closed({ action: "DENY", rules: [{ ...identity, ...port("70") }] }), []);
});

test("workloads with the same policies share the same bytes, whatever their labels", () => {
  const { workload, compiler } = open(event(policy({ rules: [{}] })));
  compiler.apply([pod("other", { app: "other" })]);
  const other = compiler.attach("shop", "other", "other")!;
  for (const name of [deny, allow])
    assert.is(workload.layers[0]!.get(typeUrls.extension, name), other.layers[0]!.get(typeUrls.extension, name));
});

test("a change that is not for a workload tells it nothing", () => {
  const { workload, compiler } = open();
  const told: unknown[] = [];
  workload.onChange((_, touched) => told.push(touched));
  const others = { selector: { matchLabels: { app: "other" } }, rules: [{}] };
  compiler.apply([event(policy(others)), event(policy({ rules: [] }, "p", "jobs"))]);
  assert.equal(told, []);
  compiler.apply([event(policy({ rules: [{}] }))]);
  assert.is(told.length, 1);
});

test("texts are no regular expressions", () => {
  for (const text of ["a.b", "(", "[a", "a|b", "^$", "\\", "*+?", "{2}"]) {
    const pattern = new RegExp(`^${literal(text)}$`);
    assert.ok(pattern.test(text), text);
    assert.not.ok(pattern.test(`${text}x`) || pattern.test("axb"), text);
  }
});

test("ISSUER/SUBJECT is the one text that both claims make: each slash may be the one between them", () => {
  const alternatives = (value: string): number => {
    const { identifier } = requestPrincipalOf(value);
    return identifier.case === "orIds" ? identifier.value.ids.length : 1;
  };
  assert.is(alternatives("issuer/subject"), 1);
  assert.is(alternatives("https://issuer.example/subject"), 3);
  assert.is(alternatives("*"), 1);
  assert.is(requestPrincipalOf("alone").identifier.case, "notId", "no token has it");
});

test("an alias of the trust domain, and the mesh's own by its usual name, stand for all of them", () => {
  const mesh = { ...defaultMeshConfig, trustDomain: "corp.example", trustDomainAliases: ["old.example"] };
  const names = (principal: string): readonly string[] => {
    const { http } = compileAuthorization(
      policy({ rules: [{ from: [{ source: { principals: [principal] } }] }] }),
      mesh,
    );
    const [made] = Object.values(http);
    const { identifier } = made!.principals[0]!;
    const ids = identifier.case === "orIds" ? identifier.value.ids : [made!.principals[0]!];
    return ids.map(({ identifier: each }) =>
      each.case === "authenticated" ? String(each.value.principalName?.matchPattern.value) : "",
    );
  };
  const both = ["spiffe://corp.example/ns/a/sa/b", "spiffe://old.example/ns/a/sa/b"];
  for (const domain of ["cluster.local", "corp.example", "old.example"])
    assert.equal(names(`${domain}/ns/a/sa/b`), both, domain);
  assert.equal(names("else.example/ns/a/sa/b"), ["spiffe://else.example/ns/a/sa/b"]);
});

test.run();
