import fc from "fast-check";
import type {
  AuthorizationPolicy,
  HttpRequest,
  Identity,
  Request,
  TcpRequest,
  Token,
  Workload,
} from "../authorization/types.js";
import { aimed } from "./authorization-aim.js";
import { policies } from "./authorization-policy.js";
import * as pools from "./authorization-pools.js";
import { pick } from "./authorization-pools.js";

/** Domains that are each other's former and later name, and those that are alone. */
const trust = pick<Pick<Workload, "trustDomain" | "trustDomainAliases">>([
  { trustDomain: "cluster.local", trustDomainAliases: [] },
  { trustDomain: "cluster.local", trustDomainAliases: ["old.mesh.example"] },
  { trustDomain: "mesh.example", trustDomainAliases: ["old.mesh.example"] },
]);

export const workload: fc.Arbitrary<Workload> = fc
  .record({ trust, namespace: pick(pools.workloadNamespaces), version: pick(["v1", "v2"]) })
  .map(({ trust: domains, namespace, version }) => ({
    ...domains,
    namespace,
    labels: { app: "server", version },
    rootNamespace: pools.rootNamespace,
    providers: pools.providers,
  }));

const claims = fc
  .record(
    {
      role: pick(["admin", "user", "administrator", 7, true]),
      roles: fc.subarray(["admin", "user", "administrator"]),
      realm: fc.record(
        { roles: fc.subarray(["admin", "user"], { minLength: 1 }), role: pick(["admin", "user"]) },
        { requiredKeys: [] },
      ),
      scope: pick(["read", "read write", "write admin"]),
      level: pick([3, "3", ["admin"], { admin: "admin" }]),
    },
    { requiredKeys: [] },
  )
  .map((found): Token["claims"] => found);

export const token: fc.Arbitrary<Token> = fc.record({
  issuer: fc.oneof(
    { arbitrary: fc.constant(pools.issuers[0]), weight: 3 },
    { arbitrary: pick(pools.issuers), weight: 2 },
  ),
  subject: pick([...pools.subjects, "alice", undefined]),
  audiences: pick<Token["audiences"]>([undefined, "shop", ["shop"], ["shop-api", "other"], ["shop", "shop-api"]]),
  presenter: pick([undefined, "shop", "shop-api"]),
  claims,
});

const peerOf = ({ trustDomain, trustDomainAliases }: Workload): fc.Arbitrary<Identity> =>
  fc.record({
    trustDomain: pick([trustDomain, ...trustDomainAliases]),
    namespace: pick(pools.peerNamespaces),
    serviceAccount: pick(pools.serviceAccounts),
  });

const httpParts: fc.Arbitrary<Omit<HttpRequest, "protocol" | keyof TcpRequest>> = fc.record({
  method: pick(pools.methods),
  authority: pick(pools.hosts),
  path: fc.oneof({ arbitrary: pick(pools.paths), weight: 3 }, { arbitrary: pick(pools.writtenPaths), weight: 2 }),
  headers: fc.array(fc.tuple(pick([...pools.headerNames, "X-Role"]), pick(pools.headerValues)), { maxLength: 3 }),
  forwardedFor: fc.array(pick(pools.remoteAddresses), { maxLength: 2 }),
  token: fc.option(token, { nil: undefined, freq: 2 }),
});

const connectionShape = (own: Workload) => ({
  peer: fc.option(peerOf(own), { nil: undefined, freq: 4 }),
  sourceAddress: fc.oneof(
    { arbitrary: pick(pools.sourceAddresses.filter((address) => address !== "::1")), weight: 9 },
    { arbitrary: fc.constant("::1"), weight: 1 },
  ),
  serverName: fc.option(pick(pools.serverNames), { nil: undefined, freq: 3 }),
  external: pick(["allow", "deny"] as const),
});

/** Server names come with TLS alone, and the pod is called in the family that the caller has. */
export const request = (own: Workload): fc.Arbitrary<Request> =>
  fc
    .record({
      connection: fc.record(connectionShape(own)),
      http: httpParts,
      place: pick<readonly [protocol: "http" | "tcp", port: keyof typeof pools.ports]>([
        ["http", "http"],
        ["http", "http"],
        ["http", "http"],
        ["http", "any"],
        ["http", "unknown"],
        ["tcp", "tcp"],
        ["tcp", "any"],
        ["tcp", "unknown"],
      ]),
    })
    .map(({ connection, http, place: [protocol, port] }): Request => {
      const common = {
        ...connection,
        serverName: connection.peer === undefined ? undefined : connection.serverName,
        destinationAddress: pools.podAddresses[connection.sourceAddress.includes(":") ? "ipv6" : "ipv4"],
        destinationPort: pools.ports[port],
      };
      return protocol === "tcp" ? { protocol, ...common } : { protocol, ...common, ...http };
    });

export interface Situation {
  readonly workload: Workload;
  readonly policies: readonly AuthorizationPolicy[];
  readonly requests: readonly Request[];
}

const candidates = 24;

/** A pod with its policies, and what is asked of it: `requests` times, 24 at most. */
export const situation = (options: {
  readonly requests: number;
  readonly hasCustom: boolean;
}): fc.Arbitrary<Situation> =>
  workload.chain((own) =>
    fc
      .record({
        policies: policies(own, options),
        requests: fc.array(request(own), { minLength: candidates, maxLength: candidates }),
      })
      .map(({ policies: those, requests }) => ({
        workload: own,
        policies: those,
        requests: aimed(requests, those, own).slice(0, options.requests),
      })),
  );
