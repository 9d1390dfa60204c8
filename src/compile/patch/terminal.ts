import type { Filter } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import type { HttpFilter } from "../../proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { configuredType } from "./extensions.js";
import { messageType, typeNameOf } from "./types.js";

/** By level, the packages of the filters that end the traffic's way: the last of a chain, and only the last, is one. */
const terminals: Readonly<Record<"network" | "http", readonly string[]>> = {
  network: [
    ...["http_connection_manager", "tcp_proxy", "redis_proxy", "thrift_proxy", "dubbo_proxy", "generic_proxy"],
    ...["echo", "direct_response"],
  ],
  http: ["router"],
};

const packageOf = (type: string, level: "network" | "http"): string | undefined =>
  new RegExp(`^envoy\\.extensions\\.filters\\.${level}\\.(\\w+)\\.`).exec(type)?.[1];

const ends = (type: string, level: "network" | "http"): boolean =>
  terminals[level].includes(packageOf(type, level) ?? "");

/** Whether a filter is terminal; undefined for one whose type these descriptors do not know. */
const isTerminal = ({ configType }: Filter | HttpFilter, level: "network" | "http"): boolean | undefined => {
  if (configType.case === "configDiscovery")
    return configType.value.typeUrls.some((url) => ends(typeNameOf(url), level));
  if (configType.case !== "typedConfig") return undefined;
  const type = configuredType(configType.value);
  return packageOf(type, level) === undefined || messageType(type) === undefined ? undefined : ends(type, level);
};

/** Whether Envoy takes the order of these filters, as far as their types are known. */
export const endsWell = (filters: readonly (Filter | HttpFilter)[], level: "network" | "http"): boolean =>
  filters.length > 0 && filters.every((filter, index) => isTerminal(filter, level) !== index < filters.length - 1);

export const isTerminalNetwork = (filter: Filter): boolean => isTerminal(filter, "network") === true;
export const isRouter = (filter: HttpFilter): boolean => isTerminal(filter, "http") === true;
