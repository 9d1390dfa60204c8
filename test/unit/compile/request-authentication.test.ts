import { fromBinary } from "@bufbuild/protobuf";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import { type Compiler, createCompiler } from "../../../src/compile/compiler.js";
import { typeUrls } from "../../../src/compile/resources.js";
import { TypedExtensionConfigSchema } from "../../../src/proto/envoy/config/core/v3/extension_pb.js";
import {
  type JwtAuthentication,
  JwtAuthenticationSchema,
} from "../../../src/proto/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { ResourceSchema } from "../../../src/proto/envoy/service/discovery/v3/discovery_pb.js";
import { readDocuments } from "../../../src/watch/documents.js";
import { podYaml } from "../../support/compiled.js";

const filter = "envoy.filters.http.jwt_authn";

const policy = (name: string, namespace: string, rest: object = {}, rule: object = {}): string =>
  JSON.stringify({
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: { name, namespace },
    spec: { jwtRules: [{ issuer: name, jwksUri: `https://${name}.example/keys`, ...rule }], ...rest },
  });
const read = (...yaml: readonly string[]): readonly ObjectEvent[] => readDocuments(yaml.join("\n---\n"), "test.yaml");
const compilerOf = (...yaml: readonly string[]): Compiler => {
  const compiler = createCompiler();
  compiler.apply(read(...yaml));
  return compiler;
};
const keySet = (name: string, jwks: string | undefined): ObjectEvent => ({
  kind: "KeySet",
  namespace: "",
  name: `jwks https://${name}.example/keys`,
  object: jwks === undefined ? undefined : { jwks, failure: undefined },
});

/** The filter's resource as the pod `namespace/name` is given it, and what it says. */
const filterOf = (compiler: Compiler, pod: string) => {
  const [namespace = "", name = ""] = pod.split("/");
  const workload = compiler.attach(namespace, name, name)!;
  const resource = workload.layers.flatMap((layer) => layer.get(typeUrls.extension, filter) ?? [])[0]!;
  const { value } = fromBinary(ResourceSchema, resource.encoded).resource!;
  const { typedConfig } = fromBinary(TypedExtensionConfigSchema, value);
  return { workload, resource, config: fromBinary(JwtAuthenticationSchema, typedConfig!.value) };
};
const providersOf = (config: JwtAuthentication): readonly string[] => Object.keys(config.providers).sort();

const pods = [
  podYaml("web", "shop", { labels: { app: "web" }, ip: "10.0.0.1" }),
  podYaml("other", "shop", { labels: { app: "web", version: "v2" }, ip: "10.0.0.2" }),
  podYaml("db", "shop", { labels: { app: "db" }, ip: "10.0.0.3" }),
  podYaml("far", "bank", { labels: { app: "web" }, ip: "10.0.0.4" }),
];

test("policies of the root namespace, the namespace and the workload add up; those for gateways are for none", () => {
  const compiler = compilerOf(
    ...pods,
    policy("root", "istio-system"),
    policy("web", "istio-system", { selector: { matchLabels: { app: "web" } } }),
    policy("all", "shop"),
    policy("db", "shop", { selector: { matchLabels: { app: "db" } } }),
    policy("gateway", "shop", { targetRefs: [{ kind: "Gateway", name: "g" }] }),
  );
  const found = Object.fromEntries(
    ["shop/web", "shop/db", "bank/far"].map((pod) => [pod, providersOf(filterOf(compiler, pod).config)]),
  );
  assert.equal(found, {
    "shop/web": ["istio-system/root[0]", "istio-system/web[0]", "shop/all[0]"],
    "shop/db": ["istio-system/root[0]", "shop/all[0]", "shop/db[0]"],
    "bank/far": ["istio-system/root[0]", "istio-system/web[0]"],
  });
});

test("pods with the same policies share one resource, and a changed one reaches whom it selects alone", () => {
  const compiler = compilerOf(
    ...pods,
    policy("web", "shop", { selector: { matchLabels: { app: "web" } } }),
    policy("db", "shop", { selector: { matchLabels: { app: "db" } } }),
  );
  const [web, other, db] = ["shop/web", "shop/other", "shop/db"].map((pod) => filterOf(compiler, pod));
  assert.is(web!.resource, other!.resource);
  const told: string[] = [];
  for (const [name, { workload }] of Object.entries({ web: web!, db: db! }))
    workload.onChange((_layer, touched) => {
      for (const [type, names] of touched)
        for (const each of names) told.push(`${name} ${type.split(".").at(-1)} ${each}`);
    });
  compiler.apply([keySet("web", '{"keys":[]}')]);
  assert.equal(told, [`web TypedExtensionConfig ${filter}`]);
  compiler.apply([keySet("web", '{"keys":[]}'), keySet("unknown", '{"keys":[]}')]);
  assert.is(told.length, 1, "the same keys, and keys of nobody, change nothing");
  assert.is(filterOf(compiler, "shop/web").resource, filterOf(compiler, "shop/other").resource);
  compiler.apply([keySet("web", undefined)]);
  assert.is(filterOf(compiler, "shop/web").resource.version, web!.resource.version);
});

test("a valid token of any rule passes, or none at all in any of their places", () => {
  const { config } = filterOf(compilerOf(...pods, policy("a", "shop"), policy("b", "shop")), "shop/web");
  const [rule] = config.rules;
  assert.is(rule!.match!.pathSpecifier.value, "");
  const shape = (requirement: unknown): unknown => {
    const { requiresType } = requirement as { requiresType: { case: string; value: unknown } };
    const { requirements } = requiresType.value as { requirements?: readonly unknown[] };
    return requirements === undefined
      ? requiresType.case === "providerName"
        ? requiresType.value
        : requiresType.case
      : { [requiresType.case]: requirements.map(shape) };
  };
  assert.equal(shape(rule!.requirementType.value), {
    requiresAny: [
      "shop/a[0]",
      "shop/b[0]",
      { requiresAll: [{ requiresAny: ["shop/a[0]", "allowMissing"] }, { requiresAny: ["shop/b[0]", "allowMissing"] }] },
    ],
  });
  assert.is(config.bypassCorsPreflight, true);
});

test.run();
