import type { MeshConfig } from "../../api/meshconfig.js";
import type { Filter } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { accessLogs } from "../access-log.js";
import { plaintextConnections } from "../plaintext-callers.js";
import { weightedTcpProxy } from "../routes/l4.js";

/** All connections to one cluster. */
export const tcpProxy = (cluster: string, mesh: MeshConfig): Filter =>
  weightedTcpProxy([{ name: cluster, weight: 1 }], { accessLog: accessLogs(mesh) });

/** For what comes without mutual TLS, whose callers are counted. */
export const plaintextTcpProxy = (cluster: string, mesh: MeshConfig): Filter =>
  weightedTcpProxy([{ name: cluster, weight: 1 }], plaintextConnections(mesh), `${cluster}_plaintext`);
