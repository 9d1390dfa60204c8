import { mkdtemp, readFile, rm } from "node:fs/promises";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../../src/cli/run/network.js";

export interface OwnCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate that has nothing to do with the mesh, signed by its own key. */
export const selfSigned = async (name: string): Promise<OwnCertificate> => {
  const folder = await mkdtemp(join(tmpdir(), "heddle-tls-"));
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  try {
    await run(
      "openssl",
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
      ...[
        "-subj",
        `/CN=${name}`,
        "-addext",
        `subjectAltName=${isIP(name) === 0 ? "DNS" : "IP"}:${name}`,
        "-keyout",
        key,
        "-out",
        certificate,
      ],
    );
    return { key: await readFile(key, "utf8"), certificate: await readFile(certificate, "utf8") };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const script = `const { createSecureServer } = require("node:http2");
const options = { cert: process.env.CERTIFICATE, key: process.env.KEY, allowHTTP1: true };
createSecureServer(options, (request, response) => response.end(JSON.stringify({
  protocol: request.httpVersion, peer: request.socket.remoteAddress, headers: request.headers,
}))).listen(8443);`;

/** A container whose application speaks HTTPS on 8443, HTTP/1.1 and HTTP/2. */
export const tlsContainer = ({ certificate, key }: OwnCertificate): object => ({
  name: "tls",
  image: "heddle/node",
  args: ["-e", script],
  env: [
    { name: "CERTIFICATE", value: certificate },
    { name: "KEY", value: key },
  ],
  ports: [{ containerPort: 8443 }],
  readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
});
