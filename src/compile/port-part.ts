import { equals } from "@bufbuild/protobuf";
import { type FilterChain, FilterChainSchema } from "../proto/envoy/config/listener/v3/listener_components_pb.js";
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

const sameChain = (left: FilterChain | undefined, right: FilterChain | undefined): boolean =>
  left === right || (left !== undefined && right !== undefined && equals(FilterChainSchema, left, right));

const isSame = (left: PortPart, right: PortPart): boolean =>
  left.host?.field.digest === right.host?.field.digest &&
  left.host?.isCanonical === right.host?.isCanonical &&
  left.isDynamic === right.isDynamic &&
  left.otherwise?.order === right.otherwise?.order &&
  sameChain(left.otherwise?.chain, right.otherwise?.chain) &&
  left.chains.length === right.chains.length &&
  left.chains.every((chain, index) => sameChain(chain, right.chains[index]));

/** The parts of before where nothing differs: what is composed of them need not be composed anew. */
export const reuseParts = (
  before: ReadonlyMap<number, PortPart> | undefined,
  after: ReadonlyMap<number, PortPart>,
): ReadonlyMap<number, PortPart> =>
  new Map(
    [...after].map(([port, part]) => {
      const known = before?.get(port);
      return [port, known !== undefined && isSame(known, part) ? known : part];
    }),
  );
