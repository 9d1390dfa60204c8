/** What `when` of an AuthorizationPolicy can ask for, without an argument. */
export const plainAttributes = [
  "source.ip",
  "remote.ip",
  "source.namespace",
  "source.principal",
  "source.serviceAccount",
  "source.trustDomain",
  "request.auth.principal",
  "request.auth.audiences",
  "request.auth.presenter",
  "destination.ip",
  "destination.port",
  "connection.sni",
] as const;

type PlainAttribute = (typeof plainAttributes)[number];

/** A key that is understood. */
export type ConditionKey =
  | { readonly attribute: PlainAttribute }
  | { readonly attribute: "request.headers"; readonly header: string }
  /** A claim, or one within claims: `[a][b]`. */
  | { readonly attribute: "request.auth.claims"; readonly claims: readonly [string, ...string[]] }
  /** Dynamic metadata that a filter has set. */
  | { readonly attribute: "experimental.envoy.filters"; readonly filter: string; readonly field: string };

/** All forms of a key, for who has written another. */
export const conditionForms: readonly string[] = [
  ...plainAttributes,
  "request.headers[NAME]",
  "request.auth.claims[NAME]",
  "experimental.envoy.filters.FILTER[FIELD]",
];

const isPlain = (key: string): key is PlainAttribute => (plainAttributes as readonly string[]).includes(key);

/** Undefined for a key that there is not. */
export const readConditionKey = (key: string): ConditionKey | undefined => {
  if (isPlain(key)) return { attribute: key };
  const [, name = "", brackets = ""] = /^([^[\]]+)((?:\[[^[\]]+\])+)$/.exec(key) ?? [];
  const [first, ...more] = [...brackets.matchAll(/\[([^[\]]+)\]/g)].map(([, argument]) => argument!);
  if (first === undefined) return undefined;
  if (name === "request.auth.claims") return { attribute: name, claims: [first, ...more] };
  if (more.length > 0) return undefined;
  if (name === "request.headers")
    return /^:?[\w!#$%&'*+.^`|~-]+$/.test(first) ? { attribute: name, header: first.toLowerCase() } : undefined;
  const [, filter] = /^experimental\.(envoy\.filters\..+)$/.exec(name) ?? [];
  return filter === undefined ? undefined : { attribute: "experimental.envoy.filters", filter, field: first };
};

/** Whether only a request has it, and no TCP connection. */
export const isOfRequests = ({ attribute }: ConditionKey): boolean => attribute.startsWith("request.");
