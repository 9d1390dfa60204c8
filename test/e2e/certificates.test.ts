import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { PodIdentity } from "../../src/cli/identity.ts";
import type { AuthorityStatus } from "../../src/main/certificates/state.ts";
import { waitFor } from "../cluster/processes.ts";
import { client, echo, namespace } from "./support/manifests.ts";
import { type Mesh, openMesh } from "./support/mesh.ts";

/** What the command line tells of certificates, from two replicas through the API server and the kubelet; and a rotation. */
const meshed = "certified";

interface Context {
  mesh: Mesh;
}

const certificates = suite<Context>("certificates");

certificates.before(async (context) => {
  context.mesh = await openMesh();
  const { mesh } = context;
  await mesh.apply(namespace(meshed));
  await mesh.kubectl("label", "namespace", meshed, "istio-injection=enabled", "--overwrite");
  await mesh.heddle("install", "--set", "profile=demo", "--set", "controlPlane.replicas=2", "-y");
  await mesh.apply(...echo({ name: "echo", namespace: meshed }), ...client({ name: "client", namespace: meshed }));
  for (const name of ["echo", "client"]) await mesh.rolledOut(meshed, name);
});

certificates.after(async ({ mesh }) => {
  // The next file begins on a cluster without a mesh.
  await mesh?.kubectl("delete", "namespace", meshed, "--timeout=120s");
  await mesh?.heddle("uninstall", "--purge", "-y");
  await mesh?.close();
});

const identities = async ({ heddle }: Mesh): Promise<readonly PodIdentity[]> =>
  JSON.parse(await heddle("identity", "-n", meshed, "-o", "json")) as readonly PodIdentity[];
const statusOf = async ({ heddle }: Mesh): Promise<AuthorityStatus> =>
  JSON.parse(await heddle("ca", "status", "-o", "json")) as AuthorityStatus;
const signing = ({ roots }: AuthorityStatus): string => roots.find(({ signs }) => signs)!.sha256;

certificates("heddle identity tells what each proxy holds, whichever replica it is connected to", async ({ mesh }) => {
  const found = await identities(mesh);
  assert.equal(
    found.map(({ spiffeId }) => spiffeId),
    [`spiffe://cluster.local/ns/${meshed}/sa/client`, `spiffe://cluster.local/ns/${meshed}/sa/echo`],
  );
  for (const { acknowledged, current, trustsRoots, problem } of found)
    assert.equal([acknowledged, current, trustsRoots, problem], [true, true, true, undefined]);
  const missing = await mesh.heddle("identity", "-n", meshed, "no-such-pod").catch((error: Error) => error);
  assert.instance(missing, Error);
  assert.match(String(missing), `${meshed}/no-such-pod: its proxy is connected to no replica`);
});

certificates(
  "heddle ca rotate --wait leaves each proxy with a certificate of the new root, and calls go on",
  async ({ mesh }) => {
    const before = { root: signing(await statusOf(mesh)), pods: await identities(mesh) };
    const said = await mesh.heddle("ca", "rotate", "--yes", "--wait", "--timeout", "4m");
    assert.match(said, "The new root signs");
    const root = signing(await statusOf(mesh));
    assert.is.not(root, before.root);
    const after = await identities(mesh);
    for (const [at, pod] of after.entries()) {
      assert.is(pod.root, root);
      assert.is.not(pod.serialNumber, before.pods[at]!.serialNumber);
    }
    await waitFor("a call", async () => (await mesh.get(meshed, "deployment/client", "http://echo/")).status === 200);
  },
);

certificates.run();
