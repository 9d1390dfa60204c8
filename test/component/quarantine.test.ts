import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, service } from "./support/manifests.js";
import { eventually, type Mesh, reportOf, startMesh } from "./support/mesh.js";

/** EnvoyFilters that only Envoy itself can tell to be wrong. */
const test = suite<{ mesh: Mesh }>("Quarantine");

const lua = (code: string): string =>
  JSON.stringify({
    apiVersion: "networking.istio.io/v1alpha3",
    kind: "EnvoyFilter",
    metadata: { name: "lua", namespace: "default" },
    spec: {
      configPatches: [
        {
          applyTo: "HTTP_FILTER",
          match: {
            context: "SIDECAR_INBOUND",
            listener: { filterChain: { filter: { name: "envoy.filters.network.http_connection_manager" } } },
          },
          patch: {
            operation: "INSERT_BEFORE",
            value: {
              name: "lua",
              typed_config: {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                default_source_code: { inline_string: code },
              },
            },
          },
        },
      ],
    },
  });

const adding = (value: string): string =>
  `function envoy_on_request(handle) handle:headers():add("x-lua", "${value}") end`;

/** What every one of twenty requests saw; connections that are older than a listener's change end by and by. */
const seen = async (mesh: Mesh): Promise<string> => {
  const responses = await mesh.call("client", "http://backend/", { count: 20, newConnections: true });
  return [...new Set(responses.map((response) => reportOf(response).headers["x-lua"]))].join();
};

const conditions = (mesh: Mesh): string => mesh.conditions("EnvoyFilter", "default", "lua").join("\n");

/** The proxies refuse it, which the mesh of the test tells by an error. */
const applyRefused = async (mesh: Mesh, yaml: string): Promise<void> => {
  await mesh.apply(yaml).catch((error: Error) => assert.match(error.message, /refused its configuration/));
};

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(echoPod("client", "client"), echoPod("backend-0", "backend"), service("backend")),
  });
});
test.after(async ({ mesh }) => {
  await mesh?.close();
});

test("a filter that Envoy rejects is left out, and the proxies take what comes later", async ({ mesh }) => {
  await applyRefused(mesh, lua("function envoy_on_request("));
  await eventually(
    "the filter is in quarantine",
    async () => mesh.plane.compiler.quarantined().join() === "default/lua",
  );
  await eventually("its status says so", async () => {
    const told = conditions(mesh);
    return /Reconciled False Rejected: .*default\/backend-0.*left out.*Envoy: .*script load error/.test(told) || told;
  });
  await mesh.apply(service("later", undefined, { selector: { app: "backend" } }));
  assert.is(reportOf((await mesh.call("client", "http://later/"))[0]).pod, "backend-0");
  await eventually("nothing is pending", async () => {
    const [pod] = await mesh.call("client", "http://backend/");
    return pod?.status === 200;
  });
});

test("an edit lifts it", async ({ mesh }) => {
  await mesh.apply(lua(adding("one")));
  assert.equal(mesh.plane.compiler.quarantined(), []);
  await eventually("the filter works", async () => (await seen(mesh)) === "one");
  await eventually("accepted and held", async () => /Accepted.*\n.*Held by all 2 proxies/.test(conditions(mesh)));
});

test("a bad edit leaves the version before it in force, even for proxies that come later", async ({ mesh }) => {
  await applyRefused(mesh, lua("function envoy_on_request("));
  await eventually("rejected", async () => /Rejected: .*its version before/.test(conditions(mesh)));
  await eventually("the version before is in force", async () => (await seen(mesh)) === "one");
  await mesh.apply(echoPod("late", "backend"));
  await mesh.remove("Pod", "default", "backend-0");
  await eventually("a later proxy has it too", async () => (await seen(mesh)) === "one");
  assert.equal(mesh.plane.compiler.quarantined(), ["default/lua"]);
});

test.run();
