import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { pino } from "pino";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority } from "../../src/identity/authority.js";
import { createCertificateService } from "../../src/identity/certificate-service.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { createTokenAuthenticator } from "../../src/identity/token.js";
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from "../../src/proto/istio/v1/auth/ca_pb.js";
import { startXdsServer } from "../../src/serve/server.js";
import { createTokenIssuer } from "./support/tokens.js";

/** The signing service over real gRPC and TLS, with requests that OpenSSL makes and certificates that OpenSSL verifies. */
const id = "spiffe://cluster.local/ns/shop/sa/cart";
const tokens = createTokenIssuer();
const cart = { namespace: "shop", serviceAccount: "cart", pod: "cart-1", uid: "uid-1" };
const longestLifetime = 3600;

interface Context {
  folder: string;
  port: number;
  root: string;
  stop: () => Promise<void>;
  answers: string[];
}

const signing = suite<Context>("signing");

signing.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), "heddle-test-"));
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  context.answers = [];
  const server = await startXdsServer({
    host: "127.0.0.1",
    port: 0,
    authenticate: () => assert.unreachable() as never,
    configuration: { attach: () => assert.unreachable() as never, nacked: () => {} },
    certificate: await authority.issue({ dnsNames: ["localhost"] }, 3600),
    logger: pino({ level: "silent" }),
    services: [
      createCertificateService({
        authority: () => authority,
        authenticate: createTokenAuthenticator(tokens.review, "istio-ca"),
        trustDomain: "cluster.local",
        longestLifetime,
        limit: { burst: 3, perSecond: 0.001 },
        answered: (outcome, details) => context.answers.push(JSON.stringify([outcome, details])),
      }),
    ],
  });
  context.port = server.port;
  context.root = authority.rootsPem;
  context.stop = server.stop;
});

signing.after(async ({ folder, stop }) => {
  await stop();
  rmSync(folder, { recursive: true });
});

const openssl = (folder: string, ...words: readonly string[]): string =>
  execFileSync("openssl", words, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

const p256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const requestOf = (folder: string, key: readonly string[] = p256, names: string | undefined = `URI:${id}`): string => {
  const extension = names === "" ? [] : ["-addext", `subjectAltName=${names}`];
  openssl(folder, "req", "-new", ...key, "-nodes", "-keyout", "key.pem", "-out", "csr.pem", "-subj", "/", ...extension);
  return readFileSync(join(folder, "csr.pem"), "utf8");
};

interface Answer {
  readonly code: status;
  readonly details: string;
  readonly chain: readonly string[];
}

const ask = (
  context: Context,
  csr: string,
  {
    token = tokens.issue({ ...cart, uid: Math.random().toString() }),
    seconds = 0,
    metadata = undefined as JsonObject | undefined,
  } = {},
): Promise<Answer> =>
  new Promise((resolve) => {
    const client = new Client(`localhost:${context.port}`, credentials.createSsl(Buffer.from(context.root)));
    const headers = new Metadata();
    headers.set("authorization", `Bearer ${token}`);
    const request = create(IstioCertificateRequestSchema, {
      csr,
      validityDuration: BigInt(seconds),
      ...(metadata === undefined ? {} : { metadata }),
    });
    client.makeUnaryRequest(
      "/istio.v1.auth.IstioCertificateService/CreateCertificate",
      () => Buffer.from(toBinary(IstioCertificateRequestSchema, request)),
      (bytes) => fromBinary(IstioCertificateResponseSchema, bytes),
      request,
      headers,
      { deadline: Date.now() + 10_000 },
      (error, response) => {
        client.close();
        resolve({
          code: error?.code ?? status.OK,
          details: error?.details ?? "",
          chain: response?.certChain ?? [],
        });
      },
    );
  });

for (const [name, key] of Object.entries({
  "P-256": p256,
  "P-384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
  "RSA 2048": ["-newkey", "rsa:2048"],
}))
  signing(
    `a client's own ${name} key is certified for its pod's identity, and OpenSSL verifies it`,
    async (context) => {
      const { folder } = context;
      const answer = await ask(context, requestOf(folder, key));
      assert.is(answer.code, status.OK, answer.details);
      const [leaf = "", ...others] = answer.chain;
      assert.equal(others, [context.root], "the last item is the trust bundle");
      writeFileSync(join(folder, "leaf.pem"), leaf);
      writeFileSync(join(folder, "root.pem"), others.at(-1)!);
      assert.match(
        openssl(folder, "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "root.pem", "leaf.pem"),
        /: OK/,
      );
      const certificate = new X509Certificate(leaf);
      assert.is(certificate.subjectAltName, `URI:${id}`);
      assert.is(
        openssl(folder, "pkey", "-in", "key.pem", "-pubout"),
        certificate.publicKey.export({ type: "spki", format: "pem" }),
      );
    },
  );

signing("the identity is the token's also where the request names none", async (context) => {
  const answer = await ask(context, requestOf(context.folder, p256, ""));
  assert.is(new X509Certificate(answer.chain[0]!).subjectAltName, `URI:${id}`);
});

signing("the lifetime asked for is given, up to the longest one", async (context) => {
  const csr = requestOf(context.folder);
  for (const [asked, given] of [
    [60, 60],
    [0, longestLifetime],
    [-5, longestLifetime],
    [999_999_999, longestLifetime],
  ] as const) {
    const { chain } = await ask(context, csr, { seconds: asked });
    const left = (new X509Certificate(chain[0]!).validToDate.getTime() - Date.now()) / 1000;
    assert.ok(Math.abs(left - given) < 10, `${asked} s asked, ${left} s given`);
  }
});

signing(
  "what may not be signed is refused with the code of istiod and the cure, and no secret is told",
  async (context) => {
    const { folder } = context;
    const good = requestOf(folder);
    const bytes = Buffer.from(good.replace(/-----.*-----/g, ""), "base64");
    bytes[bytes.length - 1]! ^= 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    const cases: readonly (readonly [string, Parameters<typeof ask>[2], status, RegExp])[] = [
      [good, { token: "" }, status.UNAUTHENTICATED, /no token/],
      [good, { token: tokens.issue({ ...cart, lifetimeSeconds: -1 }) }, status.UNAUTHENTICATED, /has expired/],
      [good, { token: tokens.issue({ ...cart, audience: "vault" }) }, status.UNAUTHENTICATED, /another audience/],
      [good, { metadata: { ImpersonatedIdentity: "x" } }, status.UNAUTHENTICATED, /another identity/],
      [
        requestOf(folder, p256, "URI:spiffe://cluster.local/ns/shop/sa/pay"),
        {},
        status.PERMISSION_DENIED,
        /sa\/pay.*sa\/cart/,
      ],
      [requestOf(folder, p256, `URI:${id},DNS:pay.shop`), {}, status.PERMISSION_DENIED, /no SPIFFE id/],
      [requestOf(folder, ["-newkey", "rsa:1024"]), {}, status.INVALID_ARGUMENT, /1024 bits; use 2048/],
      [
        requestOf(folder, ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"]),
        {},
        status.INVALID_ARGUMENT,
        /secp521r1; use P-256/,
      ],
      [requestOf(folder, ["-newkey", "ed25519"]), {}, status.INVALID_ARGUMENT, /type ed25519; use EC/],
      [requestOf(folder, ["-newkey", "rsa:2048", "-sha1"]), {}, status.INVALID_ARGUMENT, /SHA-256/],
      [forged, {}, status.INVALID_ARGUMENT, /signature does not fit/],
      [good + good, {}, status.INVALID_ARGUMENT, /not one PEM block/],
      ["", {}, status.INVALID_ARGUMENT, /not one PEM block/],
      [good.replace(/\n[^-]+\n/, "\nAAAA\n"), {}, status.INVALID_ARGUMENT, /malformed/],
      ["x".repeat(30_000), {}, status.INVALID_ARGUMENT, /16384 at most/],
    ];
    context.answers.length = 0;
    for (const [csr, options, code, message] of cases) {
      const answer = await ask(context, csr, options);
      assert.is(answer.code, code, `${message}: ${answer.details}`);
      assert.match(answer.details, message);
      assert.not.match(answer.details, /eyJ/, "a token begins so");
    }
    assert.is(context.answers.length, cases.length);
    assert.not.match(context.answers.join(), /eyJ|BEGIN/);
  },
);

signing("one pod that asks too often is told to wait, others are not", async (context) => {
  const csr = requestOf(context.folder);
  const token = tokens.issue({ ...cart, uid: "often" });
  const codes: status[] = [];
  for (let round = 0; round < 5; round++) codes.push((await ask(context, csr, { token })).code);
  assert.equal(codes, [status.OK, status.OK, status.OK, status.RESOURCE_EXHAUSTED, status.RESOURCE_EXHAUSTED]);
  assert.is((await ask(context, csr)).code, status.OK);
});

signing.run();
