import { create, toBinary, type UnknownField } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { UInt32ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Filter } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { plaintextConnections } from "../plaintext-callers.js";
import { weightedTcpProxy } from "../routes/l4.js";
import { connectionLogs, type Told } from "../telemetry/logs.js";

/** What a client may have sent by the time that the application is connected. */
const earlyBytes = 65_536;

/**
 * Fields of TcpProxy that are newer than our Envoy types: upstream_connect_mode (21) ON_DOWNSTREAM_TLS_HANDSHAKE, which
 * wants max_early_data_bytes (22). The application hears of nobody who has not proved who he is.
 */
const afterHandshake: readonly UnknownField[] = [
  { no: 21, wireType: WireType.Varint, data: new BinaryWriter().uint32(2).finish() },
  {
    no: 22,
    wireType: WireType.LengthDelimited,
    data: new BinaryWriter()
      .bytes(toBinary(UInt32ValueSchema, create(UInt32ValueSchema, { value: earlyBytes })))
      .finish(),
  },
];

/** All connections to one cluster. */
export const tcpProxy = (cluster: string, told: Told): Filter =>
  weightedTcpProxy(
    [{ name: cluster, weight: 1 }],
    connectionLogs(told),
    cluster,
    told.security === "mtls" ? afterHandshake : [],
  );

/** For what comes without mutual TLS, whose callers are counted. */
export const plaintextTcpProxy = (cluster: string, told: Told): Filter =>
  weightedTcpProxy([{ name: cluster, weight: 1 }], plaintextConnections(told), `${cluster}_plaintext`);
