import type { FilterChain } from "../proto/envoy/config/listener/v3/listener_components_pb.js";
import type { EncodedHost } from "./routes/virtual-hosts.js";

/** What one host adds to a port that it shares with others. */
export interface PortPart {
  readonly host: EncodedHost | undefined;
  /** Whether requests can be for any host that DNS knows. */
  readonly isDynamic: boolean;
  /** By server name or destination range. */
  readonly chains: readonly FilterChain[];
  /** Takes all on the port that nothing else takes: TCP to a service that has no address. The oldest has it. */
  readonly otherwise: { readonly order: string; readonly chain: FilterChain } | undefined;
}
