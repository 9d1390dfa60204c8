import { type Static, Type } from "typebox";
import type { ConfigObject } from "../kind.js";
import { podSelector } from "../selector.js";
import { targetRefFields } from "./target-refs.js";

const closed = { additionalProperties: false } as const;
const longest = 1024;

const values = (description: string, maxItems = 512) =>
  Type.Optional(Type.Array(Type.String({ maxLength: longest }), { minItems: 1, maxItems, description }));

/** Who calls. Each field has a counterpart with `not`, for whom it shall not be. */
export const source = Type.Object(
  {
    principals: values("Verified identities of callers, as cluster.local/ns/NAMESPACE/sa/ACCOUNT."),
    notPrincipals: values("Identities that match not; callers without one do match."),
    requestPrincipals: values("Identities of verified JWTs, as ISSUER/SUBJECT."),
    notRequestPrincipals: values("Identities of JWTs that match not; requests without one do match."),
    namespaces: values("Namespaces of callers, by their verified identities."),
    notNamespaces: values("Namespaces that match not; callers without an identity do match."),
    serviceAccounts: values(
      "Service accounts of callers, as NAMESPACE/ACCOUNT; without a namespace of the policy's own.",
      16,
    ),
    notServiceAccounts: values("Service accounts that match not; callers without an identity do match.", 16),
    trustDomains: values("Trust domains of callers, by their verified identities."),
    notTrustDomains: values("Trust domains that match not; callers without an identity do match."),
    ipBlocks: values("Addresses that connections come from, or ranges of them."),
    notIpBlocks: values("Addresses, or ranges of them, that match not."),
    remoteIpBlocks: values("Addresses of the first client, by X-Forwarded-For or the PROXY protocol."),
    notRemoteIpBlocks: values("Addresses of the first client that match not."),
  },
  { ...closed, description: "A caller matches if all of the fields do." },
);

/** What is called. */
export const operation = Type.Object(
  {
    hosts: values("Hosts that requests name, with the port if they name one; upper and lower case are alike."),
    notHosts: values("Hosts that match not."),
    ports: values("Ports that the workload itself listens on."),
    notPorts: values("Ports that match not."),
    methods: values("Methods of requests, in upper case; gRPC's is POST."),
    notMethods: values("Methods that match not."),
    paths: values("Paths without their query; {*} stands for one segment, {**} for any number of them."),
    notPaths: values("Paths that match not."),
  },
  { ...closed, description: "A request matches if all of the fields do." },
);

const condition = Type.Object(
  {
    key: Type.String({ minLength: 1, maxLength: longest, description: "Attribute, such as request.headers[x-team]." }),
    values: values("The attribute is one of them."),
    notValues: values("The attribute is none of them."),
  },
  { ...closed, description: "A further condition." },
);

export const rule = Type.Object(
  {
    from: Type.Optional(
      Type.Array(Type.Object({ source: Type.Optional(source) }, closed), {
        maxItems: 512,
        description: "Who calls: one of them matches. Anyone if unset.",
      }),
    ),
    to: Type.Optional(
      Type.Array(Type.Object({ operation: Type.Optional(operation) }, closed), {
        maxItems: 512,
        description: "What is called: one of them matches. Anything if unset.",
      }),
    ),
    when: Type.Optional(
      Type.Array(condition, { maxItems: 512, description: "Further conditions, all of which must hold." }),
    ),
  },
  { ...closed, description: "Matches if from, to and when all do; without any of them it matches everything." },
);

export const actions = ["ALLOW", "DENY", "AUDIT", "CUSTOM"] as const;

export const spec = Type.Object(
  {
    selector: Type.Optional(
      podSelector(
        4096,
        "The pods of the namespace that this is for; all of them if unset. In the root namespace it is for all of the mesh.",
      ),
    ),
    ...targetRefFields,
    action: Type.Optional(
      Type.Enum([...actions], {
        description:
          "What is done with a request that a rule matches. ALLOW, the default, denies all that no ALLOW policy matches.",
      }),
    ),
    provider: Type.Optional(
      Type.Object(
        {
          name: Type.Optional(
            Type.String({ maxLength: 253, description: "Name in extensionProviders of the mesh configuration." }),
          ),
        },
        { ...closed, description: "Who is asked for CUSTOM." },
      ),
    ),
    rules: Type.Optional(
      Type.Array(rule, {
        maxItems: 512,
        description: "One of them has to match. Without any the policy never matches: an ALLOW policy then denies all.",
      }),
    ),
  },
  closed,
);

export type AuthorizationPolicySpec = Static<typeof spec>;
export type AuthorizationPolicy = ConfigObject<AuthorizationPolicySpec>;
export type AuthorizationRule = Static<typeof rule>;
export type AuthorizationSource = Static<typeof source>;
export type AuthorizationOperation = Static<typeof operation>;
export type AuthorizationCondition = Static<typeof condition>;

/** Fields that only a request has, and no TCP connection. */
export const requestFields: ReadonlySet<string> = new Set([
  ...["requestPrincipals", "notRequestPrincipals", "hosts", "notHosts"],
  ...["methods", "notMethods", "paths", "notPaths"],
]);

/** "" where the policy names none. */
export const providerOf = ({ spec: own }: AuthorizationPolicy): string => own.provider?.name ?? "";

/** Only told of, never enforced. */
export const isDryRun = ({ metadata }: AuthorizationPolicy): boolean =>
  metadata?.annotations?.["istio.io/dry-run"] === "true";
