import { type Static, Type } from "typebox";
import { durationField } from "./duration-field.js";

const count = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 4_294_967_295, description }));
const percent = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 100, description }));

export const outlierDetectionSchema = Type.Object(
  {
    consecutiveErrors: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2_147_483_647,
        description: "Deprecated and without effect: use consecutive5xxErrors or consecutiveGatewayErrors.",
      }),
    ),
    splitExternalLocalOriginErrors: Type.Optional(
      Type.Boolean({
        description:
          "Count what the proxy itself ran into (no connection, timeout) apart from what the host answered. Default false.",
      }),
    ),
    consecutiveLocalOriginFailures: count(
      "Failures of the proxy's own (no connection, timeout) in a row after which a host is ejected; only with splitExternalLocalOriginErrors. Default 5.",
    ),
    consecutiveGatewayErrors: count(
      "Answers 502, 503 or 504 in a row after which a host is ejected. Unset or 0: not looked at.",
    ),
    consecutive5xxErrors: count(
      "Answers 5xx in a row after which a host is ejected; for TCP, failed connections. Default 5; 0 turns it off.",
    ),
    interval: Type.Optional(durationField("Time between two looks at which hosts to eject or take back. Default 10s.")),
    baseEjectionTime: Type.Optional(
      durationField("How long a host stays ejected, times how often it was ejected already. Default 30s."),
    ),
    maxEjectionPercent: percent(
      "Most of the hosts that may be ejected at once, in percent. Default 10: of fewer than ten hosts none is.",
    ),
    minHealthPercent: percent(
      "With fewer healthy hosts than this, in percent, all hosts are used, the ejected ones too. Default 0: never.",
    ),
    outlierDetectionHttpErrorCodes: Type.Optional(
      Type.Array(Type.Integer({ minimum: 100, maximum: 599 }), {
        maxItems: 500,
        description: "HTTP status codes that count as errors, in place of all 5xx.",
      }),
    ),
  },
  {
    additionalProperties: false,
    description:
      "Ejects hosts that keep failing from the service for a time. Turns failover between localities on, too.",
  },
);

export type OutlierDetection = Static<typeof outlierDetectionSchema>;
