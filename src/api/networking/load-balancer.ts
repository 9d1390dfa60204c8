import { type Static, Type } from "typebox";
import { durationField } from "./duration-field.js";

const closed = { additionalProperties: false } as const;
/** CEL: at most one of these fields of `self` is set. */
const atMostOne = (...fields: readonly string[]) => ({
  rule: `${fields.map((field) => `(has(self.${field}) ? 1 : 0)`).join(" + ")} <= 1`,
  message: `at most one of ${fields.join(", ")} may be set`,
});

const ringSize = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 8_388_608, description }));

const httpCookieSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 1024, description: "Name of the cookie." }),
    path: Type.Optional(Type.String({ maxLength: 4096, description: "Path of a cookie that the proxy makes." })),
    ttl: Type.Optional(
      durationField(
        "Lifetime of a cookie that the proxy makes if there is none; 0s: of the session. Unset: none is made.",
        {
          zero: true,
        },
      ),
    ),
    attributes: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.String({
              minLength: 1,
              maxLength: 1024,
              description: "Name of the attribute, such as SameSite.",
            }),
            value: Type.Optional(Type.String({ maxLength: 4096, description: "Its value; none for a flag." })),
          },
          closed,
        ),
        { maxItems: 64, description: "Attributes of a cookie that the proxy makes." },
      ),
    ),
  },
  { ...closed, description: "Hash of a cookie." },
);

const consistentHashSchema = Type.Object(
  {
    httpHeaderName: Type.Optional(Type.String({ maxLength: 1024, description: "Hash of this request header." })),
    httpCookie: Type.Optional(httpCookieSchema),
    useSourceIp: Type.Optional(Type.Boolean({ description: "Hash of the client's address, for TCP too." })),
    httpQueryParameterName: Type.Optional(
      Type.String({ maxLength: 1024, description: "Hash of this query parameter." }),
    ),
    ringHash: Type.Optional(
      Type.Object(
        { minimumRingSize: ringSize("Fewest places on the ring; more spread load more evenly. Default 1024.") },
        { ...closed, description: "Hosts on a ring of hashes (the default)." },
      ),
    ),
    maglev: Type.Optional(
      Type.Object(
        {
          tableSize: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 5_000_011,
              description:
                "Size of the table, a prime; larger ones move fewer clients when hosts change. Default 65537.",
            }),
          ),
        },
        { ...closed, description: "Hosts in a table by the Maglev algorithm: quicker to look up than a ring." },
      ),
    ),
    minimumRingSize: ringSize("Deprecated: use ringHash.minimumRingSize."),
  },
  {
    ...closed,
    description: "The same client goes to the same host, as long as the hosts stay the same.",
    "x-kubernetes-validations": [
      atMostOne("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
      atMostOne("ringHash", "maglev"),
    ],
  },
);

const failoverSchema = Type.Array(
  Type.Object(
    {
      from: Type.Optional(Type.String({ maxLength: 253, description: "Region of the client." })),
      to: Type.Optional(Type.String({ maxLength: 253, description: "Region that stands in for it." })),
    },
    closed,
  ),
  { maxItems: 256, description: "Which region stands in when one fails; without an entry, any other." },
);

const failoverPrioritySchema = Type.Array(Type.String({ maxLength: 512 }), {
  maxItems: 64,
  description:
    "Labels, as `key` or `key=value`, first the most telling: the more of them an endpoint shares with the client, in this order, the sooner it is used.",
});

export const localityLbSettingSchema = Type.Object(
  {
    distribute: Type.Optional(
      Type.Array(
        Type.Object(
          {
            from: Type.Optional(
              Type.String({
                maxLength: 512,
                description: "Locality of the client: `region/zone/subzone`, or `*` at its end.",
              }),
            ),
            to: Type.Optional(
              Type.Record(Type.String(), Type.Integer({ minimum: 0, maximum: 4_294_967_295 }), {
                description: "Share of each locality, in percent, together 100. One that is not named gets nothing.",
              }),
            ),
          },
          closed,
        ),
        { maxItems: 256, description: "Shares of traffic by the locality of the client." },
      ),
    ),
    failover: Type.Optional(failoverSchema),
    failoverPriority: Type.Optional(failoverPrioritySchema),
    enabled: Type.Optional(Type.Boolean({ description: "Default true." })),
  },
  {
    ...closed,
    description:
      "Keeps traffic near the client. Replaces the mesh's setting as a whole. Failover needs outlierDetection.",
    "x-kubernetes-validations": [atMostOne("distribute", "failover")],
  },
);

export const zoneAwareLbSettingSchema = Type.Object(
  {
    enabled: Type.Optional(Type.Boolean({ description: "Default true." })),
    failover: Type.Optional(failoverSchema),
    failoverPriority: Type.Optional(failoverPrioritySchema),
    minClusterSize: Type.Optional(
      Type.Integer({ minimum: 1, description: "Fewest endpoints for which zones matter. Default 6." }),
    ),
  },
  { ...closed, description: "Prefers the client's region, and its zone as far as its endpoints can carry the load." },
);

const warmupSchema = Type.Object(
  {
    duration: durationField("How long a new endpoint's share grows."),
    minimumPercent: Type.Optional(
      Type.Number({ minimum: 0, maximum: 100, description: "Share that it begins with, in percent. Default 10." }),
    ),
    aggression: Type.Optional(
      Type.Number({
        minimum: 0,
        description: "1, the default: the share grows evenly; more: faster at the beginning.",
      }),
    ),
  },
  {
    ...closed,
    description: "New endpoints get their full share little by little; for ROUND_ROBIN and LEAST_REQUEST.",
  },
);

export const loadBalancerSchema = Type.Object(
  {
    simple: Type.Optional(
      Type.Enum(["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"], {
        description:
          "How to choose an endpoint. LEAST_REQUEST is the default, LEAST_CONN its old name; PASSTHROUGH goes where the client wanted.",
      }),
    ),
    consistentHash: Type.Optional(consistentHashSchema),
    localityLbSetting: Type.Optional(localityLbSettingSchema),
    zoneAwareLbSetting: Type.Optional(zoneAwareLbSettingSchema),
    warmupDurationSecs: Type.Optional(durationField("Deprecated: use warmup.duration.")),
    warmup: Type.Optional(warmupSchema),
  },
  {
    ...closed,
    description: "How requests or connections are spread over the endpoints.",
    "x-kubernetes-validations": [
      atMostOne("simple", "consistentHash"),
      atMostOne("localityLbSetting", "zoneAwareLbSetting"),
      atMostOne("warmupDurationSecs", "warmup"),
    ],
  },
);

export type ConsistentHash = Static<typeof consistentHashSchema>;
export type LocalityLbSetting = Static<typeof localityLbSettingSchema>;
export type ZoneAwareLbSetting = Static<typeof zoneAwareLbSettingSchema>;
export type LoadBalancerSettings = Static<typeof loadBalancerSchema>;
