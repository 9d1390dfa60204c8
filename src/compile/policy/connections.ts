import { create } from "@bufbuild/protobuf";
import { subnetFault } from "../../api/names.js";
import {
  type Permission,
  PermissionSchema,
  type Principal,
  PrincipalSchema,
} from "../../proto/envoy/config/rbac/v3/rbac_pb.js";
import { cidrKey, cidrRange } from "../routes/cidr.js";
import { matcherOf } from "./patterns.js";

/** Throws an Error for what is no address. */
const rangeOf = (value: string) => {
  const fault = subnetFault(value);
  if (fault !== undefined) throw new Error(fault);
  const { addressPrefix, prefixLen } = cidrRange(cidrKey(value));
  return { addressPrefix, prefixLen };
};

/** Who has opened the connection. */
export const peerAddressIs = (value: string): Principal =>
  create(PrincipalSchema, { identifier: { case: "directRemoteIp", value: rangeOf(value) } });

/** Who has sent the request first, as far as what stands before the proxy says. */
export const clientAddressIs = (value: string): Principal =>
  create(PrincipalSchema, { identifier: { case: "remoteIp", value: rangeOf(value) } });

export const destinationAddressIs = (value: string): Permission =>
  create(PermissionSchema, { rule: { case: "destinationIp", value: rangeOf(value) } });

export const destinationPortIs = (value: string): Permission => {
  const port = Number(value);
  if (!/^\d+$/.test(value) || port < 1 || port > 65535) throw new Error(`${JSON.stringify(value)} is no port number`);
  return create(PermissionSchema, { rule: { case: "destinationPort", value: port } });
};

/** The name that the client asks for in its TLS handshake. */
export const serverNameIs = (value: string): Permission =>
  create(PermissionSchema, { rule: { case: "requestedServerName", value: matcherOf(value) } });
