import type { TypeUrl } from "../../compile/resources.js";
import type { ProxyIdentity } from "../../serve/configuration.js";

/** A proxy rejected resources of one type and keeps the last good ones; `message` is Envoy's, without secrets. */
export interface Nack {
  readonly proxy: ProxyIdentity;
  readonly type: TypeUrl;
  readonly names: readonly string[];
  readonly message: string;
}
