import { test } from "uvu";
import * as assert from "uvu/assert";
import { configurationKinds, definitionOf, isConfigurationKind } from "../../src/api/kinds.js";
import { validateObject } from "../../src/api/validate.js";
import { customResourceDefinitions } from "../../src/cli/manifests/definitions.js";
import { type ApiServer, openApiServer } from "../cluster/apiserver.ts";
import { run, waitFor } from "../cluster/processes.ts";

/** The definitions on a real API server: what it makes of them, and what a user then sees. */
let server: ApiServer;

const kubectl = (commandArguments: readonly string[], input?: unknown): Promise<string> =>
  run("kubectl", ["--kubeconfig", server.kubeconfig, ...commandArguments], {
    deadlineSeconds: 60,
    ...(input === undefined ? {} : { input: JSON.stringify(input) }),
  });

const apply = (...objects: readonly object[]): Promise<string> =>
  kubectl(["apply", "--server-side", "--field-manager=heddle", "-f", "-"], {
    apiVersion: "v1",
    kind: "List",
    items: objects,
  });

const refusal = async (object: object): Promise<string> => {
  try {
    await kubectl(["apply", "--server-side", "--validate=ignore", "-f", "-"], object);
  } catch (error) {
    return (error as Error & { readonly stderr?: string }).stderr ?? (error as Error).message;
  }
  throw new Error(`${JSON.stringify(object).slice(0, 200)} was let in`);
};

interface Definition {
  readonly metadata: { readonly name: string };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
  };
}

const names = customResourceDefinitions().map(({ metadata }) => metadata.name);

test.before(async () => {
  server = await openApiServer();
});
test.after(() => server?.close());

test("every definition is taken, established and without fault", async () => {
  await apply(...customResourceDefinitions());
  await waitFor("every definition is established", async () => {
    const { items } = JSON.parse(await kubectl(["get", "crd", ...names, "-o", "json"])) as {
      items: readonly Definition[];
    };
    const conditions = items.flatMap(({ metadata, status }) =>
      (status?.conditions ?? []).map((condition) => ({ ...condition, name: metadata.name })),
    );
    const faults = conditions.filter(
      ({ type, status }) =>
        (type === "NonStructuralSchema" && status === "True") || (type === "NamesAccepted" && status === "False"),
    );
    assert.equal(faults, []);
    return conditions.filter(({ type, status }) => type === "Established" && status === "True").length === names.length;
  });
});

test("applying them again changes nothing", async () => {
  const versions = (): Promise<string> =>
    kubectl(["get", "crd", ...names, "-o", "jsonpath={range .items[*]}{.metadata.generation} {end}"]);
  const before = await versions();
  await apply(...customResourceDefinitions());
  assert.is(await versions(), before);
});

/** One good resource of each kind, and a field of it that `kubectl explain` is to tell of. */
const good: readonly (readonly [kind: keyof typeof configurationKinds, spec: object, field: string, words: RegExp])[] =
  [
    [
      "VirtualService",
      {
        hosts: ["reviews"],
        http: [
          {
            match: [{ headers: { end_user: { exact: "jason" } } }],
            route: [{ destination: { host: "reviews", subset: "v2" } }],
          },
          {
            route: [
              { destination: { host: "reviews", subset: "v1" }, weight: 90 },
              { destination: { host: "reviews", subset: "v2" }, weight: 10 },
            ],
            timeout: "5s",
            retries: { attempts: 3, perTryTimeout: "1s", retryOn: "5xx" },
          },
        ],
      },
      "http.route.weight",
      /<integer>/,
    ],
    [
      "DestinationRule",
      {
        host: "reviews",
        trafficPolicy: {
          loadBalancer: { simple: "ROUND_ROBIN" },
          connectionPool: { tcp: { maxConnections: 10 }, http: { idleTimeout: "10s" } },
          outlierDetection: { consecutive5xxErrors: 3, interval: "5s" },
        },
        subsets: [{ name: "v1", labels: { version: "v1" } }],
      },
      "trafficPolicy.outlierDetection",
      /Ejects hosts that keep failing/,
    ],
    [
      "EnvoyFilter",
      {
        workloadSelector: { labels: { app: "web" } },
        configPatches: [
          {
            applyTo: "HTTP_FILTER",
            match: {
              context: "SIDECAR_INBOUND",
              listener: { filterChain: { filter: { name: "envoy.filters.network.http_connection_manager" } } },
            },
            patch: {
              operation: "INSERT_FIRST",
              value: {
                name: "envoy.filters.http.lua",
                typed_config: {
                  "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                  inline_code: "--",
                },
              },
            },
          },
        ],
      },
      "configPatches.applyTo",
      /<string>/,
    ],
    [
      "ServiceEntry",
      {
        hosts: ["api.example.com"],
        addresses: ["10.9.9.9"],
        ports: [{ number: 443, name: "tls", protocol: "TLS" }],
        location: "MESH_EXTERNAL",
        resolution: "DNS",
      },
      "resolution",
      /How endpoints are found: NONE \(default\)/,
    ],
    [
      "WorkloadEntry",
      { address: "10.0.0.7", labels: { app: "vm" }, ports: { http: 8080 } },
      "weight",
      /<integer>.*Share of the load/s,
    ],
    [
      "WorkloadGroup",
      { template: { serviceAccount: "vm" }, probe: { httpGet: { port: 8080, path: "/healthz" } } },
      "probe.httpGet",
      /Healthy if a GET request/,
    ],
    [
      "Sidecar",
      { egress: [{ hosts: ["./*"] }], inboundConnectionPool: { http: { idleTimeout: "30s" } } },
      "egress.hosts",
      /Hosts that can be called, as namespace\/host/,
    ],
    ["ProxyConfig", { concurrency: 2, environmentVariables: { A: "b" } }, "concurrency", /Worker threads of the proxy/],
    [
      "PeerAuthentication",
      {
        selector: { matchLabels: { app: "web" } },
        mtls: { mode: "STRICT" },
        portLevelMtls: { "8080": { mode: "DISABLE" }, "65535": { mode: "UNSET" } },
      },
      "portLevelMtls",
      /What single ports of the selected pods take/,
    ],
    [
      "AuthorizationPolicy",
      {
        selector: { matchLabels: { app: "web" } },
        action: "CUSTOM",
        provider: { name: "checker" },
        rules: [
          {
            from: [{ source: { namespaces: ["shop"], notIpBlocks: ["10.0.0.0/8"] } }],
            to: [{ operation: { methods: ["GET"], paths: ["/api/{*}"] } }],
            when: [{ key: "request.headers[x-team]", values: ["a"] }],
          },
        ],
      },
      "rules.to.operation",
      /Methods of requests, in upper case/,
    ],
    [
      "RequestAuthentication",
      {
        selector: { matchLabels: { app: "web" } },
        jwtRules: [
          {
            issuer: "https://issuer.example.com",
            audiences: ["shop"],
            jwksUri: "https://issuer.example.com/keys",
            fromHeaders: [{ name: "x-token", prefix: "Bearer " }],
            fromParams: ["token"],
            outputPayloadToHeader: "x-payload",
            outputClaimToHeaders: [{ header: "x-group", claim: "realm.group" }],
            forwardOriginalToken: true,
            timeout: "3s",
            spaceDelimitedClaims: ["roles"],
          },
        ],
      },
      "jwtRules.outputClaimToHeaders",
      /Claims that the application gets as headers/,
    ],
  ];

for (const [kind, spec, field, words] of good) {
  const { group, versions, plural } = configurationKinds[kind];
  const object = {
    apiVersion: `${group}/${versions.at(-1)}`,
    kind,
    metadata: { name: "good", namespace: "default" },
    spec,
  };

  test(`${kind}: a good resource is served in every version`, async () => {
    assert.equal(validateObject(definitionOf(kind), object), [], "our own checks agree");
    await apply(object);
    for (const version of versions) {
      const read = JSON.parse(await kubectl(["get", `${plural}.${version}.${group}`, "good", "-o", "json"])) as {
        readonly apiVersion: string;
        readonly spec: unknown;
      };
      assert.is(read.apiVersion, `${group}/${version}`);
      assert.equal(read.spec, spec);
    }
    await kubectl(["delete", `${plural}.${group}`, "good"]);
  });

  test(`${kind}: kubectl explain tells of ${field}`, async () => {
    assert.match(await kubectl(["explain", `${plural}.spec.${field}`, `--api-version=${group}/${versions[0]}`]), words);
  });
}

test("kubectl get prints the columns and knows the short names", async () => {
  const spec = good.find(([kind]) => kind === "ServiceEntry")?.[1];
  await apply({
    apiVersion: "networking.istio.io/v1alpha3",
    kind: "ServiceEntry",
    metadata: { name: "cols", namespace: "default" },
    spec,
  });
  const table = await kubectl(["get", "se", "cols"]);
  assert.match(table, /NAME +HOSTS +LOCATION +RESOLUTION +STATUS +AGE/);
  assert.match(table, /cols +\["api\.example\.com"\] +MESH_EXTERNAL +DNS/);
  assert.match(await kubectl(["get", "istio-io", "-o", "name"]), "serviceentry.networking.istio.io/cols");
  await kubectl(["delete", "se", "cols"]);
});

test("a status with conditions is kept beside the spec", async () => {
  const object = {
    apiVersion: "networking.istio.io/v1",
    kind: "WorkloadEntry",
    metadata: { name: "st", namespace: "default" },
  };
  await apply({ ...object, spec: { address: "10.0.0.1" } });
  const condition = { type: "Reconciled", status: "False", reason: "Conflict", message: "m", observedGeneration: 1 };
  const patch = { status: { observedGeneration: 1, conditions: [condition], addresses: [{ value: "240.0.0.1" }] } };
  await kubectl(["patch", "we", "st", "--subresource=status", "--type=merge", "-p", JSON.stringify(patch)]);
  assert.match(await kubectl(["get", "we", "st"]), /10\.0\.0\.1 +Conflict/);
  const read = JSON.parse(await kubectl(["get", "we", "st", "-o", "json"])) as { readonly status: unknown };
  assert.equal(read.status, patch.status);
  await kubectl(["delete", "we", "st"]);
});

/** What the API server itself refuses, with the words that a user reads. */
const bad: readonly (readonly [kind: string, spec: unknown, message: RegExp])[] = [
  ["ServiceEntry", {}, /spec\.hosts: Required value/],
  ["ServiceEntry", { hosts: ["*"] }, /spec\.hosts\[0\]: Invalid value.*cannot stand for every host/],
  [
    "ServiceEntry",
    { hosts: ["a.b"], location: "X" },
    /spec\.location: Unsupported value: "X": supported values: "MESH_EXTERNAL"/,
  ],
  ["ServiceEntry", { hosts: ["a.b"], workloadSelector: { labels: { a: "b" } }, endpoints: [] }, /exclude each other/],
  ["ServiceEntry", { hosts: ["a.b"], endpoints: [{ address: "1.1.1.1" }] }, /resolution NONE uses no endpoints/],
  [
    "ServiceEntry",
    { hosts: ["a.b"], addresses: ["10.0.0.0/8"], resolution: "DNS" },
    /addresses may only be CIDR ranges/,
  ],
  [
    "ServiceEntry",
    { hosts: ["a.b"], resolution: "DNS_ROUND_ROBIN", endpoints: [{ address: "a.b" }, { address: "c.d" }] },
    /uses one endpoint only/,
  ],
  [
    "ServiceEntry",
    {
      hosts: ["a.b"],
      ports: [
        { number: 1, name: "a" },
        { number: 1, name: "b" },
      ],
    },
    /spec\.ports: Invalid value.*number is there twice/,
  ],
  [
    "ServiceEntry",
    { hosts: ["a.b"], ports: [{ number: 0, name: "a" }] },
    /spec\.ports\[0\]\.number.*greater than or equal to 1/,
  ],
  ["ServiceEntry", { hosts: ["a.b"], workloadSelector: { labels: { a: "x*" } } }, /a selector knows no wildcard/],
  [
    "VirtualService",
    { hosts: ["a"], http: [{ route: [{ destination: { host: "a" }, weight: -1 }] }] },
    /weight.*greater than or equal to 0/,
  ],
  [
    "VirtualService",
    { hosts: ["a"], http: [{ match: [{ uri: { exact: "/", prefix: "/" } }] }] },
    /spec\.http\[0\]\.match\[0\]\.uri/,
  ],
  [
    "VirtualService",
    { hosts: ["a"], http: [{ timeout: "soon", route: [{ destination: { host: "a" } }] }] },
    /timeout.*must be of type duration/,
  ],
  ["DestinationRule", { trafficPolicy: {} }, /spec\.host: Required value/],
  ["DestinationRule", { host: "a", exportTo: ["*", "b"] }, /`\*` stands alone/],
  [
    "DestinationRule",
    { host: "a", trafficPolicy: { loadBalancer: { simple: "FASTEST" } } },
    /simple: Unsupported value: "FASTEST"/,
  ],
  ["AuthorizationPolicy", { action: "CUSTOM", rules: [{}] }, /provider goes with the action CUSTOM/],
  ["AuthorizationPolicy", { provider: { name: "p" }, rules: [{}] }, /provider goes with the action CUSTOM/],
  ["AuthorizationPolicy", { action: "BLOCK" }, /action: Unsupported value: "BLOCK"/],
  [
    "AuthorizationPolicy",
    { selector: { matchLabels: { a: "b" } }, targetRefs: [{ kind: "Gateway", name: "g" }] },
    /give one of selector, targetRef and targetRefs/,
  ],
  ["AuthorizationPolicy", { rules: [{ from: [{ source: { principals: [] } }] }] }, /principals.*at least 1 items/],
  ["PeerAuthentication", { mtls: { mode: "MUTUAL" } }, /mode: Unsupported value: "MUTUAL"/],
  ["PeerAuthentication", { portLevelMtls: { "80": { mode: "STRICT" } } }, /goes with a selector that names labels/],
  [
    "PeerAuthentication",
    { selector: { matchLabels: { a: "b" } }, portLevelMtls: { "65536": { mode: "STRICT" } } },
    /each key is the number of a port/,
  ],
  [
    "PeerAuthentication",
    { selector: { matchLabels: { a: "b" } }, portLevelMtls: { http: { mode: "STRICT" } } },
    /portLevelMtls.*(number of a port|invalid syntax)/,
  ],
  ["RequestAuthentication", { jwtRules: [{}] }, /jwtRules\[0\]\.issuer: Required value/],
  ["RequestAuthentication", { jwtRules: [{ issuer: "" }] }, /issuer.*should be at least 1 chars long/],
  [
    "RequestAuthentication",
    { jwtRules: [{ issuer: "a", jwks: "{}", jwksUri: "https://a.b/c" }] },
    /only one of jwks and jwksUri/,
  ],
  ["RequestAuthentication", { jwtRules: [{ issuer: "a", jwksUri: "file:///a" }] }, /must be a URL of http or https/],
  ["RequestAuthentication", { jwtRules: [{ issuer: "a", timeout: "0s" }] }, /must be at least 1ms/],
  [
    "RequestAuthentication",
    { jwtRules: [{ issuer: "a", outputClaimToHeaders: [{ header: ":path", claim: "a" }] }] },
    /use letters, digits, hyphens and underscores/,
  ],
  [
    "RequestAuthentication",
    { selector: { matchLabels: { a: "b" } }, targetRefs: [{ kind: "Gateway", name: "a" }] },
    /give one of selector, targetRef and targetRefs/,
  ],
  ["EnvoyFilter", { configPatches: [{ applyTo: "SOCKET" }] }, /applyTo: Unsupported value: "SOCKET"/],
  ["WorkloadEntry", {}, /address is missing/],
  ["WorkloadEntry", { address: "unix://a" }, /the path of a Unix domain socket is absolute/],
  ["WorkloadEntry", { address: "unix:///a", ports: { http: 80 } }, /a Unix domain socket has no ports/],
  ["WorkloadEntry", { address: "1.1.1.1", ports: { "a b": 80 } }, /a port's name has at most 63/],
  ["WorkloadGroup", {}, /spec\.template: Required value/],
  [
    "WorkloadGroup",
    { template: {}, probe: { httpGet: { port: 1 }, tcpSocket: { port: 1 } } },
    /exclude each other; leave one/,
  ],
  ["Sidecar", { egress: [{}] }, /spec\.egress\[0\]\.hosts: Required value/],
  ["Sidecar", { inboundConnectionPool: { http: { idleTimeout: "soon" } } }, /idleTimeout.*must be of type duration/],
  [
    "Sidecar",
    { ingress: [{ port: { number: 1 }, tls: { credentialName: "a", credentialNames: ["b"] } }] },
    /credentialName, credentialNames and tlsCertificates exclude/,
  ],
  ["ProxyConfig", { concurrency: -1 }, /spec\.concurrency.*greater than or equal to 0/],
];
for (const [kind, spec, message] of bad)
  test(`refused: ${kind} ${JSON.stringify(spec).slice(0, 80)}`, async () => {
    if (!isConfigurationKind(kind)) throw new Error(`no kind ${kind}`);
    const { group, versions } = definitionOf(kind);
    const object = {
      apiVersion: `${group}/${versions[0]}`,
      kind,
      metadata: { name: "bad", namespace: "default" },
      spec,
    };
    assert.match(await refusal(object), message);
    const own = validateObject(definitionOf(kind), object).filter(({ severity }) => severity === "error");
    assert.ok(own.length > 0, "our own checks refuse it too");
  });

test.run();
