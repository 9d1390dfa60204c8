import { create } from "@bufbuild/protobuf";
import { type Address, AddressSchema } from "../../proto/envoy/config/core/v3/address_pb.js";

export type IpFamily = "IPv4" | "IPv6";
export type IpFamilies = readonly IpFamily[];

export const outboundPort = 15001;
export const inboundPort = 15006;
/** Where the proxy itself listens on all addresses: Envoy refuses a second listener there, be it a Service's. */
export const proxyPorts: ReadonlySet<number> = new Set([outboundPort, inboundPort, 15020, 15021, 15090]);

const wildcards = { IPv4: "0.0.0.0", IPv6: "::" } as const;

export const familyOf = (address: string): IpFamily => (address.includes(":") ? "IPv6" : "IPv4");

/** Whether a proxy of these families can be asked for this address. */
export const isServed = (address: string, families: IpFamilies): boolean => families.includes(familyOf(address));

export const wildcardOf = (families: IpFamilies): string => wildcards[families[0] ?? "IPv4"];

export const socketAddress = (address: string, port: number): Address =>
  create(AddressSchema, {
    address: { case: "socketAddress", value: { address, portSpecifier: { case: "portValue", value: port } } },
  });

/** Where a listener is bound: an address and port, or a path of a Unix domain socket beginning with `unix://`. */
export const boundAddress = (bind: string, port: number): Address =>
  bind.startsWith("unix://")
    ? create(AddressSchema, { address: { case: "pipe", value: { path: bind.slice("unix://".length) } } })
    : socketAddress(bind, port);

export const anyAddress = (port: number, families: IpFamilies) => ({
  address: socketAddress(wildcardOf(families), port),
  additionalAddresses: families.slice(1).map((family) => ({ address: socketAddress(wildcards[family], port) })),
});
