import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { parseDuration } from "../../api/duration.js";
import { grpcStatuses } from "../../api/networking/grpc-status.js";
import type { CorsPolicy } from "../../api/networking/virtual-service.js";
import type { Fault, HttpRule } from "../../model/virtual-service-rules.js";
import { CorsPolicySchema } from "../../proto/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "../../proto/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { durationOf } from "../duration.js";
import { packed } from "../encode.js";
import { corsFilterName, faultFilterName } from "../http.js";
import { fractionOf } from "./fraction.js";
import { stringMatcher } from "./match.js";

const faultConfig = ({ delay, abort }: Fault): Any =>
  packed(
    HTTPFaultSchema,
    create(HTTPFaultSchema, {
      ...(delay === undefined
        ? {}
        : {
            delay: {
              faultDelaySecifier: { case: "fixedDelay", value: durationOf(delay.milliseconds) },
              percentage: fractionOf(delay.percentage),
            },
          }),
      ...(abort === undefined
        ? {}
        : {
            abort: {
              errorType:
                abort.httpStatus === undefined
                  ? { case: "grpcStatus", value: grpcStatuses.indexOf(abort.grpcStatus ?? "UNKNOWN") }
                  : { case: "httpStatus", value: abort.httpStatus },
              percentage: fractionOf(abort.percentage),
            },
          }),
    }),
  );

const corsConfig = (cors: CorsPolicy): Any =>
  packed(
    CorsPolicySchema,
    create(CorsPolicySchema, {
      allowOriginStringMatch: (cors.allowOrigins ?? (cors.allowOrigin ?? []).map((exact) => ({ exact }))).flatMap(
        (origin) => stringMatcher(origin) ?? [],
      ),
      allowMethods: (cors.allowMethods ?? []).join(","),
      allowHeaders: (cors.allowHeaders ?? []).join(","),
      exposeHeaders: (cors.exposeHeaders ?? []).join(","),
      maxAge: cors.maxAge === undefined ? "" : String(Math.floor((parseDuration(cors.maxAge) ?? 0) / 1000)),
      forwardNotMatchingPreflights: cors.unmatchedPreflights !== "IGNORE",
      filterEnabled: { defaultValue: fractionOf(100) },
      ...(cors.allowCredentials === undefined ? {} : { allowCredentials: cors.allowCredentials }),
    }),
  );

/** What the filters of the connection manager do for the requests of this rule. */
export const perFilterConfig = ({ fault, corsPolicy }: HttpRule): { [name: string]: Any } => ({
  ...(corsPolicy === undefined ? {} : { [corsFilterName]: corsConfig(corsPolicy) }),
  ...(fault?.delay === undefined && fault?.abort === undefined ? {} : { [faultFilterName]: faultConfig(fault) }),
});
