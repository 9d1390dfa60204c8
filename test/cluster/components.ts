import { writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { dualStack } from "./node.ts";
import { kubeconfigOf, pkiFile } from "./pki.ts";
import { run, startDaemon, tryRun, waitForDaemon } from "./processes.ts";
import { addresses, nodeName, paths } from "./settings.ts";

const config = (name: string, content: unknown): string => {
  const path = join(paths.config, name);
  writeFileSync(path, JSON.stringify(content, undefined, 2));
  return path;
};

const both = (first: string, second: string): string => (dualStack ? `${first},${second}` : first);

/** Whether a GET on 127.0.0.1 answers 200; the admin's certificate is shown to the API server. */
const answers = (port: number, path: string, withClientCertificate: boolean): Promise<boolean> =>
  (withClientCertificate
    ? run("kubectl", ["--kubeconfig", paths.kubeconfig, "get", "--raw", path], { deadlineSeconds: 5 })
    : new Promise<string>((resolve, reject) => {
        request({ host: "127.0.0.1", port, path, rejectUnauthorized: false, timeout: 2000 }, (response) => {
          response.resume();
          if (response.statusCode === 200) resolve("");
          else reject(new Error(`${response.statusCode}`));
        })
          .on("error", reject)
          .end();
      })
  ).then(
    () => true,
    () => false,
  );

const responds = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    (response) => response.ok,
    () => false,
  );

export const startEtcd = async (): Promise<void> => {
  const url = "http://127.0.0.1:12379";
  const peer = "http://127.0.0.1:12380";
  const daemon = startDaemon(
    "etcd",
    "etcd",
    [
      ...["--data-dir", paths.etcd, "--listen-client-urls", url, "--advertise-client-urls", url],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
      ...["--initial-cluster", `default=${peer}`, "--unsafe-no-fsync"],
    ],
    { ETCD_UNSUPPORTED_ARCH: process.arch === "arm64" ? "arm64" : "" },
  );
  await waitForDaemon(daemon, () => responds(`${url}/health`));
};

export const startApiserver = async (): Promise<void> => {
  const daemon = startDaemon("kube-apiserver", paths.kube, [
    "kube-apiserver",
    "--etcd-servers=http://127.0.0.1:12379",
    `--secure-port=${addresses.apiserver}`,
    `--advertise-address=${addresses.node}`,
    `--service-cluster-ip-range=${both(addresses.services, addresses.services6)}`,
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
    `--client-ca-file=${pkiFile("ca.crt")}`,
    `--tls-cert-file=${pkiFile("apiserver.crt")}`,
    `--tls-private-key-file=${pkiFile("apiserver.key")}`,
    `--kubelet-client-certificate=${pkiFile("apiserver-kubelet-client.crt")}`,
    `--kubelet-client-key=${pkiFile("apiserver-kubelet-client.key")}`,
    "--kubelet-preferred-address-types=InternalIP",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    `--service-account-key-file=${pkiFile("service-account.pub")}`,
    `--service-account-signing-key-file=${pkiFile("service-account.key")}`,
    `--requestheader-client-ca-file=${pkiFile("front-proxy-ca.crt")}`,
    "--requestheader-allowed-names=front-proxy-client",
    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    "--requestheader-group-headers=X-Remote-Group",
    "--requestheader-username-headers=X-Remote-User",
    `--proxy-client-cert-file=${pkiFile("front-proxy-client.crt")}`,
    `--proxy-client-key-file=${pkiFile("front-proxy-client.key")}`,
  ]);
  await waitForDaemon(daemon, () => answers(addresses.apiserver, "/readyz", true), 120);
};

export const startControllers = (): Promise<unknown> => {
  const manager = startDaemon("kube-controller-manager", paths.kube, [
    "kube-controller-manager",
    `--kubeconfig=${kubeconfigOf("controller-manager")}`,
    "--use-service-account-credentials=true",
    `--service-account-private-key-file=${pkiFile("service-account.key")}`,
    `--root-ca-file=${pkiFile("ca.crt")}`,
    `--cluster-signing-cert-file=${pkiFile("ca.crt")}`,
    `--cluster-signing-key-file=${pkiFile("ca.key")}`,
    "--leader-elect=false",
    "--bind-address=127.0.0.1",
  ]);
  const scheduler = startDaemon("kube-scheduler", paths.kube, [
    "kube-scheduler",
    `--kubeconfig=${kubeconfigOf("scheduler")}`,
    "--leader-elect=false",
    "--bind-address=127.0.0.1",
  ]);
  return Promise.all([
    waitForDaemon(manager, () => answers(10257, "/healthz", false)),
    waitForDaemon(scheduler, () => answers(10259, "/healthz", false)),
  ]);
};

export const startContainerd = async (): Promise<void> => {
  const daemon = startDaemon("containerd", "containerd", ["--config", join(paths.config, "containerd.toml")]);
  await waitForDaemon(
    daemon,
    async () => (await tryRun("ctr", ["--address", paths.containerdSocket, "version"])) !== undefined,
  );
};

export const startKubelet = (): void => {
  const path = config("kubelet.json", {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    cgroupDriver: "cgroupfs",
    failCgroupV1: false,
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    clusterDNS: [addresses.dns],
    clusterDomain: "cluster.local",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: pkiFile("ca.crt") },
    },
    authorization: { mode: "Webhook" },
    containerRuntimeEndpoint: `unix://${paths.containerdSocket}`,
    imageGCHighThresholdPercent: 100,
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
    makeIPTablesUtilChains: false,
    podLogsDir: join(paths.logs, "pods"),
    registryPullQPS: 0,
    volumePluginDir: join(paths.kubelet, "plugins"),
    syncFrequency: "10s",
  });
  startDaemon("kubelet", paths.kube, [
    "kubelet",
    `--config=${path}`,
    `--kubeconfig=${kubeconfigOf("kubelet")}`,
    `--root-dir=${paths.kubelet}`,
    `--cert-dir=${join(paths.kubelet, "pki")}`,
    `--hostname-override=${nodeName}`,
    `--node-ip=${both(addresses.node, addresses.node6)}`,
  ]);
};

export const startProxy = async (): Promise<void> => {
  const path = config("kube-proxy.json", {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "iptables",
    hostnameOverride: nodeName,
    clientConnection: { kubeconfig: kubeconfigOf("proxy") },
    conntrack: { maxPerCore: 0 },
    detectLocalMode: "BridgeInterface",
    detectLocal: { bridgeInterface: addresses.bridge },
    // Rules follow a change of endpoints at once: rollout tests should find no delay of the cluster's own making.
    iptables: { minSyncPeriod: "100ms", syncPeriod: "30s" },
    healthzBindAddress: "127.0.0.1:10256",
    metricsBindAddress: "127.0.0.1:10249",
    nodePortAddresses: ["primary"],
  });
  const daemon = startDaemon("kube-proxy", paths.kube, ["kube-proxy", `--config=${path}`]);
  await waitForDaemon(daemon, () => responds("http://127.0.0.1:10256/livez"));
};

export const startDns = async (): Promise<void> => {
  const path = join(paths.config, "Corefile");
  writeFileSync(
    path,
    `.:${addresses.dnsPort} {
  bind ${addresses.node}
  ready 127.0.0.1:18181
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig ${kubeconfigOf("dns")}
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 5
  }
  forward . /etc/resolv.conf
  cache 5
}
`,
  );
  const daemon = startDaemon("coredns", paths.coredns, ["-conf", path]);
  await waitForDaemon(daemon, () => responds("http://127.0.0.1:18181/ready"));
};

/** The DNS server runs on the host; this gives it its service address and the right to watch. */
export const dnsObjects = [
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "kube-dns", namespace: "kube-system" },
    spec: {
      clusterIP: addresses.dns,
      ports: [
        { name: "dns", port: 53, protocol: "UDP", targetPort: addresses.dnsPort },
        { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: addresses.dnsPort },
      ],
    },
  },
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "kube-dns", namespace: "kube-system", labels: { "kubernetes.io/service-name": "kube-dns" } },
    addressType: "IPv4",
    endpoints: [{ addresses: [addresses.node], conditions: { ready: true } }],
    ports: [
      { name: "dns", port: addresses.dnsPort, protocol: "UDP" },
      { name: "dns-tcp", port: addresses.dnsPort, protocol: "TCP" },
    ],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "system:dns" },
    rules: [
      { apiGroups: [""], resources: ["services", "pods", "namespaces", "endpoints"], verbs: ["list", "watch"] },
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
    ],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "system:dns" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:dns" },
    subjects: [{ kind: "User", name: "system:dns", apiGroup: "rbac.authorization.k8s.io" }],
  },
] as const;
