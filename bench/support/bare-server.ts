import { createSecureServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { serveParent } from "./child.js";
import { collectGarbage } from "./garbage.js";

/** HTTP/2 over TLS and nothing else: what connections cost in this runtime, whatever is served on them. */
const streams = new Set<ServerHttp2Stream>();

const start = async (): Promise<{ readonly port: number; readonly rootsPem: string }> => {
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  const { certificateChainPem, privateKeyPem } = await authority.issue(
    { dnsNames: ["heddled.istio-system.svc"] },
    3600,
  );
  const server = createSecureServer({ cert: certificateChainPem, key: privateKeyPem });
  server.on("stream", (stream) => {
    streams.add(stream);
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200 });
    stream.write("x");
    stream.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 4096, resolve));
  return { port: (server.address() as AddressInfo).port, rootsPem: authority.rootsPem };
};

const resident = async (): Promise<number> => {
  await collectGarbage();
  return process.memoryUsage.rss();
};

serveParent({ start, resident });
