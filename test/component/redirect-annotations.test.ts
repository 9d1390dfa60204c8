import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, namespace } from "./support/manifests.js";
import { bracketed, type Mesh, startMesh } from "./support/mesh.js";

const test = suite<{ mesh: Mesh }>("annotations of the redirect");

const annotated = (name: string, annotations: Readonly<Record<string, string>>): string =>
  echoPod(name, name, {
    annotations: Object.fromEntries(
      Object.entries(annotations).map(([key, value]) => [`traffic.sidecar.istio.io/${key}`, value]),
    ),
  });

test.before(async (context) => {
  context.mesh = await startMesh({
    dualStack: true,
    yaml: join(
      namespace("plain"),
      echoPod("outside", "outside", { namespace: "plain" }),
      echoPod("other", "other", { namespace: "plain" }),
      annotated("in-excluded", { excludeInboundPorts: "7071" }),
      annotated("in-included", { includeInboundPorts: "8080,7070" }),
      annotated("in-none", { includeInboundPorts: "" }),
      annotated("out-port-excluded", { excludeOutboundPorts: "7071" }),
      annotated("out-port-included", { includeOutboundIPRanges: "", includeOutboundPorts: "7071" }),
      // TEST-NET-3 and the documentation prefix stand for ranges that have nothing to do with the pods'.
      annotated("out-range-excluded", { excludeOutboundIPRanges: "203.0.113.0/24,2001:db8::/32,10.245.0.0/16" }),
      annotated("out-range-included", { includeOutboundIPRanges: "203.0.113.0/24,10.245.0.0/16" }),
      annotated("interface", { excludeInterfaces: "net1" }),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

/** The greeting tells whom the application saw: its own proxy, or the caller itself. */
const isProxied = async (mesh: Mesh, target: string, port: number, address: string): Promise<boolean> => {
  const url = port === 8080 ? `http://${bracketed(address)}:8080/` : `tcp://${bracketed(address)}:${port}`;
  const [response] = await mesh.call("outside", url);
  assert.is(response?.error, undefined, `${target} ${url}: ${response?.error}`);
  const seen =
    port === 8080
      ? (JSON.parse(response!.body) as { readonly peer: string }).peer
      : response!.body.trim().split(" ").at(-1)!;
  const { addresses } = mesh.pod("outside").network;
  const isOwn = /^(::ffff:127\.0\.0\.6|::1)$/.test(seen);
  assert.ok(isOwn || addresses.some((own) => seen.endsWith(own)), `${target} saw ${seen}`);
  return isOwn;
};

const inbound: readonly (readonly [string, number, boolean])[] = [
  ["in-excluded", 7071, false],
  ["in-excluded", 8080, true],
  ["in-included", 7071, false],
  ["in-included", 8080, true],
  ["in-none", 8080, false],
];
for (const [pod, port, expected] of inbound)
  test(`${pod}: port ${port} is ${expected ? "" : "not "}taken by the proxy`, async ({ mesh }) => {
    for (const address of mesh.pod(pod).network.addresses)
      assert.is(await isProxied(mesh, pod, port, address), expected, address);
  });

/** Connections that the caller's proxy has passed on to where they were going. */
const passed = (mesh: Mesh, pod: string): Promise<number> =>
  mesh.stat(pod, /^cluster\.PassthroughCluster\.upstream_cx_total/);

const outbound: readonly (readonly [string, number, "IPv4" | "IPv6", boolean])[] = [
  ["out-port-excluded", 7071, "IPv4", false],
  ["out-port-excluded", 7071, "IPv6", false],
  ["out-port-excluded", 8080, "IPv4", true],
  ["out-port-excluded", 8080, "IPv6", true],
  ["out-port-included", 7071, "IPv4", true],
  ["out-port-included", 7071, "IPv6", true],
  ["out-port-included", 8080, "IPv4", false],
  ["out-port-included", 8080, "IPv6", false],
  ["out-range-excluded", 8080, "IPv4", false],
  ["out-range-excluded", 8080, "IPv6", true],
  ["out-range-included", 8080, "IPv4", true],
  ["out-range-included", 8080, "IPv6", false],
];
for (const [pod, port, family, expected] of outbound)
  test(`${pod}: ${family} port ${port} ${expected ? "goes" : "does not go"} through the proxy`, async ({ mesh }) => {
    const address = mesh.pod("outside").network.addresses[family === "IPv4" ? 0 : 1]!;
    const before = await passed(mesh, pod);
    const scheme = port === 8080 ? "http" : "tcp";
    const [response] = await mesh.call(pod, `${scheme}://${bracketed(address)}:${port}/`);
    assert.is(response?.error, undefined);
    assert.match(response!.body, "outside");
    assert.is((await passed(mesh, pod)) - before, expected ? 1 : 0);
  });

test("an excluded interface is left alone in both directions, the others are not", async ({ mesh }) => {
  const [first = ""] = mesh.pod("interface").network.addresses;
  const second = first.replace(/\d+$/, "201");
  const other = mesh.pod("other").address;
  await mesh.exec(
    "interface",
    "ip",
    "link",
    "add",
    "link",
    "eth0",
    "name",
    "net1",
    "type",
    "macvlan",
    "mode",
    "bridge",
  );
  await mesh.exec("interface", "ip", "address", "add", `${second}/32`, "dev", "net1");
  await mesh.exec("interface", "ip", "link", "set", "net1", "up");
  // Without this the kernel answers for net1's address on eth0 too.
  await mesh.exec("interface", "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1");
  await mesh.exec("interface", "ip", "route", "add", `${other}/32`, "dev", "net1", "src", second);

  assert.is(await isProxied(mesh, "interface", 7071, first), true);
  assert.is(await isProxied(mesh, "interface", 7071, second), false);

  const before = await passed(mesh, "interface");
  const [through] = await mesh.call("interface", `http://${other}:8080/`);
  assert.is(through?.status, 200, through?.error);
  assert.is(await passed(mesh, "interface"), before);
  const [redirected] = await mesh.call("interface", `http://${mesh.pod("outside").address}:8080/`);
  assert.is(redirected?.status, 200, redirected?.error);
  assert.is(await passed(mesh, "interface"), before + 1);
});

test.run();
