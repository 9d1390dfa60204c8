import { type Static, Type } from "typebox";
import { error, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";

const closed = { additionalProperties: false } as const;
const path = (description: string) => Type.Optional(Type.String({ maxLength: 4096, description }));
const texts = (description: string) =>
  Type.Optional(Type.Array(Type.String({ maxLength: 2048 }), { maxItems: 1024, description }));
const versions = ["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"] as const;

/** How a listener ends TLS: a Sidecar's ingress listener, and a Gateway's server. */
export const ServerTlsSettings = Type.Object(
  {
    mode: Type.Optional(
      Type.Enum(["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"], {
        description: "Whether a client must show a certificate: not with SIMPLE, always with MUTUAL.",
      }),
    ),
    serverCertificate: path("Path of the server's certificate chain in the proxy's container, in PEM."),
    privateKey: path("Path of the server's private key in the proxy's container, in PEM."),
    caCertificates: path("Path of the certificates that clients are checked against, in PEM; needed by MUTUAL."),
    caCrl: path("Path of a certificate revocation list that clients are checked against, in PEM."),
    credentialName: Type.Optional(Type.String({ description: "Secret with certificate and key; for gateways." })),
    credentialNames: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        maxItems: 2,
        description: "As credentialName, one for each kind of key.",
      }),
    ),
    caCertCredentialName: Type.Optional(
      Type.String({
        description: "Secret or ConfigMap with the certificates clients are checked against; for gateways.",
      }),
    ),
    tlsCertificates: Type.Optional(
      Type.Array(
        Type.Object(
          {
            serverCertificate: path("Path of the certificate chain, in PEM."),
            privateKey: path("Path of the private key, in PEM."),
            caCertificates: path("Path of certificates that clients are checked against, in PEM."),
          },
          closed,
        ),
        { minItems: 1, maxItems: 2, description: "Certificates by path, one for each kind of key." },
      ),
    ),
    subjectAltNames: texts("Names of which a client's certificate must hold one."),
    verifyCertificateSpki: texts("SHA-256 of public keys (SPKI) in base64, of which a client's must be one."),
    verifyCertificateHash: texts("SHA-256 of certificates in hex, of which a client's must be one."),
    minProtocolVersion: Type.Optional(
      Type.Enum([...versions], { description: "Lowest TLS version; TLSV1_2 if unset." }),
    ),
    maxProtocolVersion: Type.Optional(
      Type.Enum([...versions], { description: "Highest TLS version; TLSV1_3 if unset." }),
    ),
    cipherSuites: texts("Cipher suites of TLS 1.2 and below, by Envoy's names; its defaults if unset."),
    httpsRedirect: Type.Optional(Type.Boolean({ description: "Answers HTTP with a redirect to HTTPS; for gateways." })),
    insecureSkipVerify: Type.Optional(
      Type.Boolean({ nullable: true, description: "Accepts clients whose certificate cannot be verified. Unsafe." }),
    ),
  },
  {
    ...closed,
    description: "TLS that the proxy itself ends.",
    "x-kubernetes-validations": [
      {
        rule: "(has(self.credentialName) ? 1 : 0) + (has(self.credentialNames) ? 1 : 0) + (has(self.tlsCertificates) ? 1 : 0) <= 1",
        message: "credentialName, credentialNames and tlsCertificates exclude each other; leave one",
      },
    ],
  },
);
export type ServerTlsSettings = Static<typeof ServerTlsSettings>;

const forGateways = [
  "credentialName",
  "credentialNames",
  "caCertCredentialName",
  "tlsCertificates",
  "httpsRedirect",
] as const;
const notInSidecar = [...forGateways, "subjectAltNames"] as const;

/** TLS of an ingress listener of a Sidecar, which knows certificates by path only. */
export const checkSidecarTls = (at: string, tls: ServerTlsSettings): readonly Finding[] => {
  const { mode = "PASSTHROUGH" } = tls;
  const needed = [
    ...(mode === "SIMPLE" || mode === "MUTUAL" ? (["serverCertificate", "privateKey"] as const) : []),
    ...(mode === "MUTUAL" ? (["caCertificates"] as const) : []),
  ];
  const [lowest, highest] = [tls.minProtocolVersion, tls.maxProtocolVersion].map((version) =>
    version === undefined || version === "TLS_AUTO" ? undefined : versions.indexOf(version),
  );
  return [
    ...(mode === "SIMPLE" || mode === "MUTUAL"
      ? []
      : [error(`${at}.mode`, `${show(mode)} is not for a Sidecar's listener; use SIMPLE or MUTUAL`)]),
    ...notInSidecar
      .filter((field) => tls[field] !== undefined && tls[field] !== false)
      .map((field) => error(`${at}.${field}`, `${show(tls[field])} is not for a Sidecar's listener; remove it`)),
    ...needed
      .filter((field) => (tls[field] ?? "") === "")
      .map((field) => error(`${at}.${field}`, `is missing; mode ${mode} needs the path of a file`)),
    ...(mode === "SIMPLE" && (tls.caCrl ?? "") !== ""
      ? [error(`${at}.caCrl`, "mode SIMPLE checks no client; remove it, or use MUTUAL")]
      : []),
    ...(lowest !== undefined && highest !== undefined && lowest > highest
      ? [error(`${at}.maxProtocolVersion`, `${show(tls.maxProtocolVersion)} is below minProtocolVersion; raise it`)]
      : []),
    ...(tls.insecureSkipVerify === true
      ? [warning(`${at}.insecureSkipVerify`, "true lets in clients that nobody vouches for; remove it")]
      : []),
  ];
};
