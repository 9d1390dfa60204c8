import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./processes.ts";
import { addresses, nodeName, paths } from "./settings.ts";

/** The cluster's certificates and kubeconfigs, made anew at each start with openssl; they never leave the cache folder. */
const file = (name: string): string => join(paths.pki, name);
const validity = ["-days", "30"] as const;
const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"] as const;

const authority = (name: string): Promise<string> =>
  run("openssl", [
    ...["req", "-x509", ...key, ...validity, "-subj", `/CN=${name}`],
    ...["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`)],
    ...["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
  ]);

const leaf = async (
  name: string,
  subject: string,
  options: { readonly issuer?: string; readonly names?: string } = {},
): Promise<void> => {
  const issuer = options.issuer ?? "ca";
  await run("openssl", [
    ...["req", "-x509", ...key, ...validity, "-subj", subject],
    ...["-CA", file(`${issuer}.crt`), "-CAkey", file(`${issuer}.key`)],
    ...["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`)],
    ...["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "keyUsage=critical,digitalSignature"],
    ...["-addext", "extendedKeyUsage=clientAuth,serverAuth"],
    ...(options.names === undefined ? [] : ["-addext", `subjectAltName=${options.names}`]),
  ]);
};

const kubeconfig = (name: string, path: string): void => {
  const data = (part: string): string => readFileSync(file(part)).toString("base64");
  const content = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "heddle",
    clusters: [
      {
        name: "heddle",
        cluster: {
          server: `https://127.0.0.1:${addresses.apiserver}`,
          "certificate-authority-data": data("ca.crt"),
        },
      },
    ],
    users: [{ name, user: { "client-certificate-data": data(`${name}.crt`), "client-key-data": data(`${name}.key`) } }],
    contexts: [{ name: "heddle", context: { cluster: "heddle", user: name } }],
  };
  writeFileSync(path, JSON.stringify(content, undefined, 2), { mode: 0o600 });
};

export const pkiFile = file;
export const kubeconfigOf = (name: string): string => file(`${name}.kubeconfig`);

export const makePki = async (): Promise<void> => {
  mkdirSync(paths.pki, { recursive: true, mode: 0o700 });
  await Promise.all([authority("ca"), authority("front-proxy-ca")]);
  const names = [
    ...["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"].map(
      (name) => `DNS:${name}`,
    ),
    ...["localhost", nodeName].map((name) => `DNS:${name}`),
    ...["127.0.0.1", addresses.kubernetes, addresses.node].map((address) => `IP:${address}`),
  ].join(",");
  await Promise.all([
    leaf("apiserver", "/CN=kube-apiserver", { names }),
    leaf("apiserver-kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client"),
    leaf("front-proxy-client", "/CN=front-proxy-client", { issuer: "front-proxy-ca" }),
    leaf("admin", "/O=system:masters/CN=admin"),
    leaf("kubelet", `/O=system:nodes/CN=system:node:${nodeName}`),
    leaf("controller-manager", "/CN=system:kube-controller-manager"),
    leaf("scheduler", "/CN=system:kube-scheduler"),
    leaf("proxy", "/CN=system:kube-proxy"),
    leaf("dns", "/CN=system:dns"),
    run("openssl", ["genrsa", "-out", file("service-account.key"), "2048"]),
  ]);
  await run("openssl", ["rsa", "-in", file("service-account.key"), "-pubout", "-out", file("service-account.pub")]);
  for (const name of ["kubelet", "controller-manager", "scheduler", "proxy", "dns"])
    kubeconfig(name, kubeconfigOf(name));
  kubeconfig("admin", paths.kubeconfig);
};
