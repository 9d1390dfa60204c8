import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileYaml, podYaml } from "../../support/compiled.js";

test("an HTTP proxy of a Sidecar that sees nothing has routes all the same, else the proxy waits for them for ever", () => {
  const sidecar = JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "Sidecar",
    metadata: { name: "default", namespace: "shop" },
    spec: { egress: [{ port: { number: 7443, protocol: "HTTP_PROXY", name: "proxy" }, hosts: ["none/*"] }] },
  });
  const { listeners, routes } = compileYaml([podYaml("client", "shop"), sidecar].join("\n---\n"), "shop/client");
  assert.ok(listeners.has("127.0.0.1_7443"));
  assert.equal(
    routes.get("http_proxy")?.virtualHosts.map(({ name }) => name),
    ["block_all"],
  );
});

test.run();
