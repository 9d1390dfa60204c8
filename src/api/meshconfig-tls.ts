import { type Static, Type } from "typebox";
import { show, warning } from "./findings.js";
import type { Finding } from "./kind.js";

const names = (description: string) =>
  Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64, description }));

/** Istio's MeshConfig.TLSConfig. */
export const MeshTlsSchema = Type.Object(
  {
    minProtocolVersion: Type.Optional(
      Type.Enum(["TLS_AUTO", "TLSV1_2", "TLSV1_3"], { description: "Oldest protocol version; TLS_AUTO is 1.2." }),
    ),
    cipherSuites: names("Suites of TLS 1.2, in OpenSSL's names; TLS 1.3 has its own."),
    ecdhCurves: names("Curves of the key exchange."),
  },
  { additionalProperties: false },
);
export type MeshTlsFields = Static<typeof MeshTlsSchema>;

export interface MeshTls {
  readonly minProtocolVersion: "TLSV1_2" | "TLSV1_3";
  /** Of TLS 1.2. */
  readonly cipherSuites: readonly string[];
  /** Envoy's own if empty. */
  readonly ecdhCurves: readonly string[];
}

const strongSuites = [
  ...["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
  ...["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
];
const takenSuites: readonly string[] = [
  ...strongSuites,
  ...["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"],
];
const takenCurves: readonly string[] = ["X25519", "P-256", "P-384", "P-521", "X25519MLKEM768"];

export const defaultMeshTls: MeshTls = { minProtocolVersion: "TLSV1_2", cipherSuites: strongSuites, ecdhCurves: [] };

const kept = (given: readonly string[] | undefined, taken: readonly string[]): readonly string[] =>
  (given ?? []).filter((name) => taken.includes(name));

/** Warns of what is not taken: Envoy would refuse some of it, and the rest is weak. */
export const checkMeshTls = (path: string, fields: MeshTlsFields | undefined): readonly Finding[] => {
  const unfit = (name: "cipherSuites" | "ecdhCurves", taken: readonly string[]): readonly Finding[] =>
    (fields?.[name] ?? []).flatMap((value, index) =>
      taken.includes(value)
        ? []
        : [warning(`${path}.${name}[${index}]`, `${show(value)} is left out; use some of ${taken.join(", ")}`)],
    );
  return [...unfit("cipherSuites", takenSuites), ...unfit("ecdhCurves", takenCurves)];
};

export const resolveMeshTls = (fields: MeshTlsFields | undefined): MeshTls => {
  const suites = kept(fields?.cipherSuites, takenSuites);
  return {
    minProtocolVersion: fields?.minProtocolVersion === "TLSV1_3" ? "TLSV1_3" : "TLSV1_2",
    cipherSuites: suites.length > 0 ? suites : strongSuites,
    ecdhCurves: kept(fields?.ecdhCurves, takenCurves),
  };
};
