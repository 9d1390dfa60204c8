import { error, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import type { ClientTlsSettings } from "./client-tls.js";

const certificateFields = ["clientCertificate", "privateKey", "caCertificates", "caCrl"] as const;

const isSet = (value: unknown): boolean =>
  value !== undefined && value !== "" && value !== false && !(Array.isArray(value) && value.length === 0);

const misplaced = (path: string, tls: ClientTlsSettings, mode: string, cure: string): readonly Finding[] =>
  ([...certificateFields, "credentialName", "subjectAltNames", "sni", "insecureSkipVerify"] as const)
    .filter((field) => isSet(tls[field]))
    .map((field) => warning(`${path}.${field}`, `${show(tls[field])} has no effect with mode ${mode}: ${cure}`));

/** An issuer that is not looked at, or names that are not, leave the proxy talking to anyone. */
const verification = (path: string, tls: ClientTlsSettings): readonly Finding[] => {
  if (tls.insecureSkipVerify !== true) return [];
  const contradicted = (["caCertificates", "subjectAltNames", "caCrl"] as const)
    .filter((field) => isSet(tls[field]))
    .map((field) =>
      error(`${path}.${field}`, `${show(tls[field])} contradicts insecureSkipVerify: remove one of the two`),
    );
  return [
    ...contradicted,
    warning(
      `${path}.insecureSkipVerify`,
      "true: the server's certificate is not checked, anyone on the way can read along: give caCertificates instead",
    ),
  ];
};

const files = (path: string, tls: ClientTlsSettings): readonly Finding[] => {
  const findings: Finding[] = [];
  for (const field of certificateFields) {
    const value = tls[field];
    if (value !== undefined && value !== "" && !/^\/[^\0\n]*$/.test(value))
      findings.push(
        error(`${path}.${field}`, `${show(value)} is no absolute path: name a file in the proxy's container`),
      );
  }
  if (isSet(tls.clientCertificate) !== isSet(tls.privateKey)) {
    const absent = isSet(tls.privateKey) ? "clientCertificate" : "privateKey";
    findings.push(error(`${path}.${absent}`, `nothing given: clientCertificate and privateKey go together`));
  }
  return findings;
};

/**
 * The credential is a Secret that this mesh does not send to proxies. To go on without it would be plaintext, or TLS with
 * other certificates, where the author asked for these: so it is refused, and never sent anywhere.
 */
const credential = (path: string, tls: ClientTlsSettings): readonly Finding[] => {
  if (!isSet(tls.credentialName)) return [];
  return [
    error(
      `${path}.credentialName`,
      `${show(tls.credentialName)} cannot be given to sidecars: mount the Secret into the pod (annotations sidecar.istio.io/userVolume and userVolumeMount) and name its files by clientCertificate, privateKey and caCertificates`,
    ),
    ...certificateFields
      .filter((field) => isSet(tls[field]))
      .map((field) =>
        error(`${path}.${field}`, `${show(tls[field])} goes not with credentialName: remove one of the two`),
      ),
  ];
};

const names = (path: string, tls: ClientTlsSettings): readonly Finding[] => {
  const findings: Finding[] = [];
  tls.subjectAltNames?.forEach((name, index) => {
    if (name === "")
      findings.push(
        error(`${path}.subjectAltNames[${index}]`, '"" matches no certificate: name one or remove the entry'),
      );
  });
  if (tls.sni !== undefined && tls.sni !== "" && !/^[A-Za-z0-9_]([A-Za-z0-9._-]{0,253}[A-Za-z0-9_])?$/.test(tls.sni))
    findings.push(error(`${path}.sni`, `${show(tls.sni)} is no host name: write one without port or wildcard`));
  return findings;
};

export const checkClientTls = (path: string, tls: ClientTlsSettings | undefined): readonly Finding[] => {
  if (tls === undefined) return [];
  switch (tls.mode ?? "DISABLE") {
    case "DISABLE":
      return misplaced(path, tls, "DISABLE", "set mode SIMPLE or MUTUAL, or remove it");
    case "ISTIO_MUTUAL":
      return [
        ...[...certificateFields, "credentialName" as const]
          .filter((field) => isSet(tls[field]))
          .map((field) =>
            error(
              `${path}.${field}`,
              `${show(tls[field])} goes not with mode ISTIO_MUTUAL, which uses the mesh's certificates: remove it, or set mode MUTUAL`,
            ),
          ),
        ...names(path, tls),
        ...(tls.insecureSkipVerify === true
          ? [
              warning(
                `${path}.insecureSkipVerify`,
                "true has no effect with mode ISTIO_MUTUAL, which always checks the server's identity: remove it",
              ),
            ]
          : []),
      ];
    case "SIMPLE":
      return [
        ...credential(path, tls),
        ...files(path, tls),
        ...(["clientCertificate", "privateKey"] as const)
          .filter((field) => isSet(tls[field]))
          .map((field) =>
            warning(`${path}.${field}`, `${show(tls[field])} is not presented with mode SIMPLE: set mode MUTUAL`),
          ),
        ...names(path, tls),
        ...verification(path, tls),
      ];
    case "MUTUAL":
      return [
        ...credential(path, tls),
        ...files(path, tls),
        ...(isSet(tls.credentialName) || isSet(tls.clientCertificate) || isSet(tls.privateKey)
          ? []
          : [
              error(
                `${path}.clientCertificate`,
                "nothing given: mode MUTUAL needs clientCertificate and privateKey; ISTIO_MUTUAL uses the mesh's own",
              ),
            ]),
        ...names(path, tls),
        ...verification(path, tls),
      ];
  }
};
