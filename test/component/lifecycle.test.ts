import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { eventually, type Mesh, type Response, reportOf, startMesh } from "./support/mesh.js";

const test = suite<{ mesh: Mesh }>("pods that come and go");

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(
      service("backend"),
      service("unready", { http: [8080, 8080] }, { spec: { clusterIP: "None", publishNotReadyAddresses: true } }),
      namespace("plain"),
      echoPod("client", "client"),
      ...["backend-1", "backend-2", "backend-3"].map((name) => echoPod(name, "backend")),
      echoPod("unready", "unready"),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

const podsOf = (responses: readonly Response[]): readonly string[] =>
  [...new Set(responses.map((response) => reportOf(response).pod))].sort();

/** Sends until `during` is over; every response in the order of its request. */
const under = async (mesh: Mesh, during: () => Promise<unknown>): Promise<readonly Response[]> => {
  const responses: Response[] = [];
  let isOver = false;
  const load = (async () => {
    while (!isOver) responses.push(...(await mesh.call("client", "http://backend/", { count: 50, concurrency: 4 })));
  })();
  await during().finally(() => {
    isOver = true;
  });
  await load;
  return responses;
};

const failuresOf = (responses: readonly Response[]): readonly Response[] =>
  responses.filter(({ status }) => status !== 200);

test("a new pod is sent traffic when it is ready, and one that is removed under load loses no request", async ({
  mesh,
}) => {
  const responses = await under(mesh, async () => {
    await mesh.apply(echoPod("backend-4", "backend"));
    await eventually("backend-4 answers", async () =>
      podsOf(await mesh.call("client", "http://backend/", { count: 50 })).includes("backend-4"),
    );
    await mesh.remove("Pod", "default", "backend-4");
  });
  assert.equal(failuresOf(responses), []);
  assert.ok(responses.length > 200, `${responses.length} requests`);
  assert.not(podsOf(await mesh.call("client", "http://backend/", { count: 50 })).includes("backend-4"));
});

test("a pod whose processes are killed under load costs no request but those that it held", async ({ mesh }) => {
  const concurrency = 4;
  const responses = await under(mesh, async () => {
    await eventually("under way", async () => (await mesh.call("client", "http://backend/"))[0]?.status === 200);
    await mesh.kill("backend-3");
    await eventually(
      "backend-3 is no endpoint any more",
      async () => !(await mesh.admin("client", "/clusters")).includes(`${mesh.pod("backend-3").address}:8080`),
    );
  });
  const failures = failuresOf(responses);
  assert.ok(failures.length <= concurrency, JSON.stringify(failures));
  assert.equal(podsOf(await mesh.call("client", "http://backend/", { count: 50 })), ["backend-1", "backend-2"]);
});

test("a pod whose application fails its probe, made by the proxy, leaves the Service", async ({ mesh }) => {
  const stopped = await fetch(`http://${mesh.pod("backend-2").address}:8080/stop?part=http`, { method: "POST" });
  assert.is(stopped.status, 200);
  await stopped.text();
  await eventually("only backend-1 answers", async () => {
    const responses = await mesh.call("client", "http://backend/", { count: 20 });
    return failuresOf(responses).length === 0 && podsOf(responses).join() === "backend-1";
  });
  const probe = await fetch(`http://${mesh.pod("backend-2").address}:15020/app-health/echo/readyz`);
  assert.is.not(probe.status, 200);
});

test("a Service that publishes unready addresses keeps its pod", async ({ mesh }) => {
  const { address } = mesh.pod("unready");
  assert.is((await mesh.call("client", "http://unready:8080/"))[0]?.status, 200);
  await fetch(`http://${address}:8080/stop?part=http`, { method: "POST" }).then((response) => response.text());
  await eventually("the pod is unready", async () => {
    const slice = mesh.plane.compiler.snapshot().slices.get("default/unready-0");
    return slice?.endpoints?.[0]?.conditions?.serving === false;
  });
  // HTTP of the application has ended; its other ports show that the name still leads to the pod.
  const [greeting] = await mesh.call("client", "tcp://unready:7071");
  assert.match(greeting?.body ?? greeting?.error ?? "", "unready greets");
});

test.run();
