/** AuthorizationPolicy and what it is asked about, written anew for the reference evaluator: nothing comes from src. */

/** Values are exact, `prefix*`, `*suffix` or `*`, unless the field says otherwise. */
export interface Source {
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
  readonly requestPrincipals?: readonly string[];
  readonly notRequestPrincipals?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  /** `account`, of the policy's namespace, or `namespace/account`. */
  readonly serviceAccounts?: readonly string[];
  readonly notServiceAccounts?: readonly string[];
  /** Addresses or CIDR blocks. */
  readonly ipBlocks?: readonly string[];
  readonly notIpBlocks?: readonly string[];
  readonly remoteIpBlocks?: readonly string[];
  readonly notRemoteIpBlocks?: readonly string[];
  readonly trustDomains?: readonly string[];
  readonly notTrustDomains?: readonly string[];
}

export interface Operation {
  readonly hosts?: readonly string[];
  readonly notHosts?: readonly string[];
  /** Decimal numbers. */
  readonly ports?: readonly string[];
  readonly notPorts?: readonly string[];
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  /** Also templates with `{*}` and `{**}`. */
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
}

export interface Condition {
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}

export interface Rule {
  readonly from?: readonly { readonly source: Source }[];
  readonly to?: readonly { readonly operation: Operation }[];
  readonly when?: readonly Condition[];
}

export type Action = "ALLOW" | "DENY" | "AUDIT" | "CUSTOM";

export interface AuthorizationPolicy {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly targetRefs?: readonly { readonly kind: string; readonly group: string; readonly name: string }[];
    readonly action?: Action;
    readonly provider?: { readonly name: string };
    readonly rules?: readonly Rule[];
  };
}

export interface Workload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  /** The external authorizers that the mesh knows, and what they speak. */
  readonly providers: Readonly<Record<string, "http" | "grpc">>;
}

export interface Identity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** A token that was verified. */
export interface Token {
  readonly issuer: string;
  readonly subject?: string | undefined;
  readonly audiences?: string | readonly string[] | undefined;
  /** `azp` */
  readonly presenter?: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
}

interface Connection {
  /** Of the client's certificate; undefined in plaintext. */
  readonly peer: Identity | undefined;
  /** Of the connection itself. */
  readonly sourceAddress: string;
  readonly destinationAddress: string;
  readonly destinationPort: number;
  /** SNI as the client sent it; undefined if it sent none. */
  readonly serverName: string | undefined;
  /** What the external authorizer would say. */
  readonly external: "allow" | "deny";
}

export interface TcpRequest extends Connection {
  readonly protocol: "tcp";
}

export interface HttpRequest extends Connection {
  readonly protocol: "http";
  readonly method: string;
  readonly authority: string;
  /** As it was sent, with its query. */
  readonly path: string;
  /** In order; names may come several times. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Addresses of X-Forwarded-For, the nearest last. */
  readonly forwardedFor: readonly string[];
  readonly token: Token | undefined;
}

export type Request = HttpRequest | TcpRequest;

export type Verdict = "allow" | "deny";

export interface Decision {
  readonly verdict: Verdict;
  /** `namespace/name` of a policy that decided; undefined where none did. */
  readonly by?: string;
  /** What dry-run policies would do, by action; absent where there are none. */
  readonly shadow: { readonly allow?: Verdict; readonly deny?: Verdict };
  readonly isAudited: boolean;
}
