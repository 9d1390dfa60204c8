import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { PersistentSession } from "../../model/service.js";
import {
  StatefulSessionPerRouteSchema,
  StatefulSessionSchema,
} from "../../proto/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.js";
import { CookieBasedSessionStateSchema } from "../../proto/envoy/extensions/http/stateful_session/cookie/v3/cookie_pb.js";
import { HeaderBasedSessionStateSchema } from "../../proto/envoy/extensions/http/stateful_session/header/v3/header_pb.js";
import { packed } from "../encode.js";
import { sessionFilterName } from "../http.js";

const stateOf = (session: PersistentSession) =>
  session.by === "cookie"
    ? {
        name: "envoy.http.stateful_session.cookie",
        typedConfig: packed(
          CookieBasedSessionStateSchema,
          create(CookieBasedSessionStateSchema, { cookie: { name: session.name, path: session.path } }),
        ),
      }
    : {
        name: "envoy.http.stateful_session.header",
        typedConfig: packed(
          HeaderBasedSessionStateSchema,
          create(HeaderBasedSessionStateSchema, { name: session.name }),
        ),
      };

/** Keeps a client of the service at one endpoint, even one that is on its way out. */
export const sessionConfig = (session: PersistentSession | undefined): { [filter: string]: Any } =>
  session === undefined
    ? {}
    : {
        [sessionFilterName]: packed(
          StatefulSessionPerRouteSchema,
          create(StatefulSessionPerRouteSchema, {
            override: {
              case: "statefulSession",
              value: create(StatefulSessionSchema, { sessionState: stateOf(session) }),
            },
          }),
        ),
      };
