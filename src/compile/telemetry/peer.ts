import { create } from "@bufbuild/protobuf";
import type { Pod } from "../../api/kubernetes.js";
import { type WorkloadLabels, workloadLabelsOf } from "../../model/workload-labels.js";
import { type Filter, FilterSchema } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { typedStruct } from "../typed-struct.js";
import { peerStateKey } from "./keys.js";

type Part = keyof WorkloadLabels | "cluster";

const parts: readonly Part[] = ["workload", "app", "version", "service", "revision", "cluster"];

/** Of a form that no escape or separator of a distinguished name can stand in. */
const isPlain = (value: string): boolean => /^[A-Za-z0-9._-]{1,253}$/.test(value);

/**
 * What a proxy's certificate says of its workload besides its identity: organizational units, such as
 * `workload:reviews-v1`. They are for telemetry alone and grant nothing.
 */
export const workloadUnits = (pod: Pod | undefined, cluster: string): readonly string[] => {
  const labels: Readonly<Partial<Record<Part, string>>> = {
    ...workloadLabelsOf(pod?.metadata?.labels ?? {}),
    cluster,
  };
  return parts.flatMap((part) => {
    const value = labels[part];
    return value !== undefined && isPlain(value) ? [`${part}:${value}`] : [];
  });
};

const extracted = (attribute: string, regex: string): string =>
  `%CEL(re.extract(connection.${attribute}, '${regex}', '\\\\1'))%`;

const formatOf = (part: Part): string => extracted("subject_peer_certificate", `(?:^|,)OU=${part}:([A-Za-z0-9._-]+)`);

const formats: readonly (readonly [string, string])[] = [
  ...parts.map((part) => [part, formatOf(part)] as const),
  ["namespace", extracted("uri_san_peer_certificate", "^spiffe://[^/]+/ns/([^/]+)/sa/")],
];

/** Reads the peer's certificate once a connection, for the metrics of all that comes over it. */
export const peerFilter = (): Filter =>
  create(FilterSchema, {
    name: "heddle.peer",
    configType: {
      case: "typedConfig",
      value: typedStruct("envoy.extensions.filters.network.set_filter_state.v3.Config", {
        on_downstream_tls_handshake: formats.map(([part, format]) => ({
          object_key: peerStateKey(part),
          factory_key: "envoy.string",
          format_string: { text_format_source: { inline_string: format } },
          skip_if_empty: true,
        })),
      }),
    },
  });
