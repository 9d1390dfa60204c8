import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileYaml, podYaml } from "../../support/compiled.js";

const service = (clusterIP: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "cart", namespace: "shop" },
    spec: { clusterIP, selector: { app: "cart" }, ports: [{ name: "tcp", port: 80, targetPort: 8080 }] },
  });

const workload = (name: string, address: string | undefined): string =>
  JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "WorkloadEntry",
    metadata: { name, namespace: "shop" },
    spec: { ...(address === undefined ? { network: "far" } : { address }), labels: { app: "cart" } },
  });

const slice = JSON.stringify({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: "cart-names", namespace: "shop", labels: { "kubernetes.io/service-name": "cart" } },
  addressType: "FQDN",
  ports: [{ name: "tcp", port: 8080 }],
  endpoints: [{ addresses: ["slice.example.com"], conditions: { ready: true } }],
});

const mixed = [
  workload("address", "10.0.0.9"),
  workload("name", "entry.example.com"),
  workload("nowhere", undefined),
  slice,
].join("\n---\n");

test("endpoints that are names, which a proxy does not look up there, leave the others in force", () => {
  const yaml = [podYaml("client", "shop"), service("10.96.0.1"), mixed].join("\n---\n");
  const assignment = compileYaml(yaml, "shop/client").endpoints.get("outbound|80||cart.shop.svc.cluster.local")!;
  const addresses = assignment.endpoints.flatMap(({ lbEndpoints }) =>
    lbEndpoints.map(({ hostIdentifier }) => {
      const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      return address?.case === "socketAddress" ? address.value.address : undefined;
    }),
  );
  assert.equal(addresses, ["10.0.0.9"]);
});

test("a headless service has a listener for each address, and none for names", () => {
  const yaml = [podYaml("client", "shop"), service("None"), mixed, workload("socket", "unix:///cart")].join("\n---\n");
  const names = [...compileYaml(yaml, "shop/client").listeners.keys()];
  assert.equal(names.filter((name) => name.endsWith("_8080")).sort(), ["10.0.0.9_8080"]);
});

test.run();
