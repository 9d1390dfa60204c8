import { join, resolve } from "node:path";

/** Where the cluster keeps its files and which addresses it uses; nothing else on the machine should use these. */
export const top = resolve(import.meta.dirname, "../..");
export const state = join(top, ".cache/cluster");
/** Sockets live here: their paths must stay under 108 bytes however deep the checkout is. */
export const sockets = "/run/heddle-cluster";

export const paths = {
  kube: join(state, "kube"),
  coredns: join(state, "coredns"),
  logs: join(state, "logs"),
  pki: join(state, "pki"),
  etcd: join(state, "etcd"),
  containerd: join(state, "containerd"),
  kubelet: join(state, "kubelet"),
  cni: join(state, "cni"),
  config: join(state, "config"),
  images: join(state, "images"),
  daemons: join(state, "daemons.json"),
  sysctls: join(state, "sysctls.json"),
  kubeconfig: join(state, "kubeconfig"),
  containerdSocket: join(sockets, "containerd.sock"),
} as const;

export const addresses = {
  interface: "heddle-node0",
  bridge: "heddle-pods0",
  node: "198.51.100.2",
  node6: "fd00:198:51:100::2",
  pods: "10.244.0.0/16",
  pods6: "fd00:10:244::/64",
  services: "10.96.0.0/16",
  services6: "fd00:10:96::/112",
  kubernetes: "10.96.0.1",
  dns: "10.96.0.10",
  dnsPort: 1053,
  apiserver: 6443,
} as const;

export const nodeName = "node1";
export const kubernetesVersion = "1.35.4";
