import type { V1Volume, V1VolumeMount } from "@kubernetes/client-node";

/** Where a node's SPIRE agent is found. */
export interface SpireAgent {
  /** Folder of the node that holds the agent's file `socket`; "" to have it brought by the CSI driver csi.spiffe.io. */
  readonly nodeFolder: string;
}

/** The name that secrets' configuration sources refer to. */
export const spireCluster = "spire-agent";

const volumeName = "workload-socket";
const folder = "/run/secrets/workload-spiffe-uds";

export const spireVolumes = (spire: SpireAgent | undefined): readonly V1Volume[] => {
  if (spire === undefined) return [];
  return [
    spire.nodeFolder === ""
      ? { name: volumeName, csi: { driver: "csi.spiffe.io", readOnly: true } }
      : { name: volumeName, hostPath: { path: spire.nodeFolder, type: "Directory" } },
  ];
};

export const spireVolumeMounts = (spire: SpireAgent | undefined): readonly V1VolumeMount[] =>
  spire === undefined ? [] : [{ name: volumeName, mountPath: folder, readOnly: true }];

/** The agent's socket as a static cluster: it must be there before anything that the control plane sends. */
export const spireClusters = (spire: SpireAgent | undefined): readonly object[] =>
  spire === undefined
    ? []
    : [
        {
          name: spireCluster,
          type: "STATIC",
          connect_timeout: "1s",
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: spireCluster,
            endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: `${folder}/socket` } } } }] }],
          },
        },
      ];
