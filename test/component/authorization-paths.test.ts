import { test } from "uvu";
import * as assert from "uvu/assert";
import type { PathNormalization } from "../../src/api/meshconfig.js";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { type Mesh, startMesh } from "./support/mesh.js";
import { authorizationPolicy, forServer } from "./support/policies.js";

/** The status of a request whose path arrives as it is written here. */
const raw = async (mesh: Mesh, path: string): Promise<string> => {
  const [answer] = await mesh.call("outside", `tcp://${mesh.pod("shop/server").address}:8080`, {
    body: `GET ${path} HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n`,
    untilClose: true,
  });
  return answer!.body.slice(9, 12);
};

/** By the mesh's pathNormalization: forms of a path that DENY catches, and those that it does not. */
const forms: Readonly<
  Partial<Record<PathNormalization, { readonly caught: readonly string[]; readonly past: readonly string[] }>>
> = {
  NONE: {
    // Beyond what a path may hold: Envoy's own templates would not know these.
    caught: ["/admin", '/files/a"b', "/files/<a>", "/files/a|b^c{d}", "/files//a"],
    past: ["/x/../admin", "/%61dmin", "//admin"],
  },
  MERGE_SLASHES: { caught: ["/admin", "//admin", "/x/../admin"], past: ["/x%2F..%2Fadmin", "/ADMIN"] },
  DECODE_AND_MERGE_SLASHES: {
    caught: ["/admin", "//admin", "/%2Fadmin", "/x%2F..%2Fadmin", "/x%5c..%5cadmin"],
    past: ["/ADMIN", "/admin/"],
  },
};

for (const [pathNormalization, { caught, past }] of Object.entries(forms))
  test(`a DENY of a path under ${pathNormalization}`, async () => {
    const mesh = await startMesh({
      mesh: { pathNormalization: pathNormalization as PathNormalization },
      yaml: join(
        namespace("plain"),
        echoPod("outside", "outside", { namespace: "plain" }),
        service("server", { http: [80, 8080] }, { namespace: "shop" }),
        echoPod("server", "server", { namespace: "shop" }),
        authorizationPolicy("closing", {
          ...forServer,
          action: "DENY",
          rules: [{ to: [{ operation: { paths: ["/admin", "/files/{**}"] } }] }],
        }),
      ),
    });
    try {
      for (const path of caught) assert.is(await raw(mesh, path), "403", path);
      for (const path of past) assert.is(await raw(mesh, path), "200", path);
    } finally {
      await mesh.close();
    }
  });

test.run();
