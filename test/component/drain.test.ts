import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { eventually, type Mesh, type Response, startMesh } from "./support/mesh.js";

const test = suite<{ mesh: Mesh }>("a pod's end under load");

/** The application outlives its proxy, whose end it is that could lose something; some request is always under way. */
const backend = (name: string): string =>
  echoPod(name, "backend", {
    env: { DELAY: "20" },
    container: { lifecycle: { preStop: { sleep: { seconds: 8 } } } },
  });

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(
      namespace("plain"),
      service("backend"),
      echoPod("client", "client"),
      echoPod("late", "late"),
      echoPod("outside", "outside", { namespace: "plain" }),
      ...["backend-1", "backend-2", "backend-3", "backend-4"].map(backend),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

const callers = [
  ["client", "http://backend/", "http1"],
  ["client", "http://backend:81/", "http2"],
  ["late", "http://backend/", "http1"],
  ["late", "http://backend:81/", "http2"],
  ["outside", "http://backend.default/", "http1"],
  ["outside", "http://backend.default:81/", "http2"],
] as const;

/** Callers with pooled connections, all the time; what failed, by caller. */
const under = async (mesh: Mesh, during: () => Promise<unknown>) => {
  let isOver = false;
  let sent = 0;
  const lost = new Map<string, number>();
  const loads = callers.map(async ([pod, url, protocol]) => {
    while (!isOver) {
      const responses: readonly Response[] = await mesh.call(pod, url, { protocol, count: 3000, concurrency: 8 });
      sent += responses.length;
      for (const { status, error, body } of responses) {
        const key = `${pod} ${protocol}: ${status} ${error ?? body}`;
        if (status !== 200) lost.set(key, (lost.get(key) ?? 0) + 1);
      }
    }
  });
  await during().finally(() => {
    isOver = true;
  });
  await Promise.all(loads);
  return { sent, lost: Object.fromEntries(lost) };
};

test("whose callers are told to go loses nothing, not even of those who hear of its end too late", async ({ mesh }) => {
  // What this one's proxy knows of endpoints is what it knew before.
  const cut = "table inet late { chain in { type filter hook input priority 0; tcp sport 15012 drop; }; }";
  for (let round = 0; round < 2; round++) {
    const name = `backend-${round + 1}`;
    const proxy = `http://${mesh.pod(name).address}:15021/healthz/ready`;
    const { sent, lost } = await under(mesh, async () => {
      await mesh.exec("late", "nft", cut);
      const removed = mesh.remove("Pod", "default", name);
      await eventually("its proxy has ended", () =>
        fetch(proxy, { signal: AbortSignal.timeout(1000) }).then(
          () => false,
          () => true,
        ),
      );
      await mesh.exec("late", "nft", "delete table inet late");
      await removed;
    });
    assert.equal(lost, {});
    assert.ok(sent >= 18_000, `${sent} requests`);
    await mesh.apply(backend(name));
  }
});

test.run();
