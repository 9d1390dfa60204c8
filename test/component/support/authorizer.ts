/**
 * An external authorizer of Envoy's, by HTTP on 8000 and by gRPC on 9000: it allows requests that say so in x-verdict, and
 * connections of the service account "frontend". It runs in a pod, without any loader: nothing but types to be stripped.
 */
import { createServer } from "node:http";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type handleUnaryCall, Server, ServerCredentials } from "@grpc/grpc-js";
import {
  type CheckRequest,
  CheckRequestSchema,
  type CheckResponse,
  CheckResponseSchema,
} from "../../../src/proto/envoy/service/auth/v3/external_auth_pb.js";

createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString("utf8");
  const { "x-verdict": verdict, "x-own": own, "x-added": added, "x-secret": secret } = request.headers;
  const told = `${request.method} ${request.url} own=${own} added=${added} secret=${secret} body=${body}`;
  if (verdict === "allow") response.writeHead(200, { "x-user": "tester", "x-told": told, "x-hidden": "yes" });
  else
    response.writeHead(verdict === "unknown" ? 401 : 403, {
      "x-reason": "not today",
      "x-told": told,
      "x-hidden": "yes",
    });
  response.end(verdict === "allow" ? "" : "the authorizer refuses");
}).listen(8000);

const verdictOf = ({ attributes }: CheckRequest): CheckResponse => {
  const http = attributes?.request?.http;
  const isAllowed =
    http === undefined
      ? attributes?.source?.principal.endsWith("/sa/frontend") === true
      : http.headers["x-verdict"] === "allow";
  return create(
    CheckResponseSchema,
    isAllowed
      ? {
          status: { code: 0 },
          httpResponse: {
            case: "okResponse",
            value: { headers: [{ header: { key: "x-user", value: `tester of ${http?.path}` } }] },
          },
        }
      : {
          status: { code: 7 },
          httpResponse: { case: "deniedResponse", value: { status: { code: 403 }, body: "the authorizer refuses" } },
        },
  );
};

const check: handleUnaryCall<CheckRequest, CheckResponse> = ({ request }, answer) => answer(null, verdictOf(request));
const server = new Server();
server.addService(
  {
    check: {
      path: "/envoy.service.auth.v3.Authorization/Check",
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: CheckRequest) => Buffer.from(toBinary(CheckRequestSchema, value)),
      requestDeserialize: (bytes: Buffer) => fromBinary(CheckRequestSchema, bytes),
      responseSerialize: (value: CheckResponse) => Buffer.from(toBinary(CheckResponseSchema, value)),
      responseDeserialize: (bytes: Buffer) => fromBinary(CheckResponseSchema, bytes),
    },
  },
  { check },
);
server.bindAsync("0.0.0.0:9000", ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
});
