import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { createInterface } from "node:readline";
import type { KubeConfig } from "@kubernetes/client-node";

/** An answer of the API server that is not a success; `status` is the HTTP status, or the Status object's code. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface ApiRequest {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
}

/** Raw JSON over the kubeconfig's cluster and credentials: nothing is copied into classes. */
export interface ApiClient {
  /** The decoded body. Rejects with ApiError for an HTTP error, with an Error for a broken connection. */
  readonly call: (path: string, request?: ApiRequest) => Promise<unknown>;
  /** Calls back for each line until the server ends the answer; rejects as `call` does. */
  readonly lines: (path: string, onLine: (line: string) => void, signal: AbortSignal) => Promise<void>;
}

const callTimeoutMilliseconds = 30_000;
/** Longer than any watch asks the server to last, so that it only ends a connection whose peer is gone. */
const watchIdleMilliseconds = 400_000;

const statusMessage = (body: string, response: IncomingMessage): string => {
  try {
    const message = (JSON.parse(body) as { message?: unknown } | null)?.message;
    if (typeof message === "string") return message;
  } catch {
    // Not a Status object; the HTTP status has to do.
  }
  return `${response.statusCode} ${response.statusMessage ?? ""}`.trim();
};

const readBody = async (response: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
};

const isSuccess = (response: IncomingMessage): boolean =>
  response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 300;

export const createApiClient = (kubeConfig: KubeConfig): ApiClient => {
  const open = async (
    path: string,
    { method = "GET", body, contentType = "application/json", signal }: ApiRequest,
    idleMilliseconds: number,
  ): Promise<IncomingMessage> => {
    const server = kubeConfig.getCurrentCluster()?.server;
    if (server === undefined) throw new Error("kubeconfig: there is no current cluster; set current-context");
    const url = new URL(server.replace(/\/$/, "") + path);
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const options: RequestOptions = { method, ...(signal ? { signal } : {}) };
    await kubeConfig.applyToHTTPSOptions(options);
    options.headers = {
      accept: "application/json",
      ...(options.headers as Record<string, string> | undefined),
      ...(payload === undefined ? {} : { "content-type": contentType, "content-length": Buffer.byteLength(payload) }),
    };
    return new Promise((resolve, reject) => {
      const sent: ClientRequest =
        url.protocol === "https:" ? httpsRequest(url, options, resolve) : httpRequest(url, options, resolve);
      sent.on("error", reject);
      sent.setTimeout(idleMilliseconds, () => sent.destroy(new Error(`${method} ${path}: no answer in time`)));
      sent.end(payload);
    });
  };

  return {
    call: async (path, request = {}) => {
      const response = await open(path, request, callTimeoutMilliseconds);
      const body = await readBody(response);
      if (!isSuccess(response)) throw new ApiError(response.statusCode ?? 0, statusMessage(body, response));
      return JSON.parse(body) as unknown;
    },
    lines: async (path, onLine, signal) => {
      const response = await open(path, { signal }, watchIdleMilliseconds);
      if (!isSuccess(response))
        throw new ApiError(response.statusCode ?? 0, statusMessage(await readBody(response), response));
      response.socket.setKeepAlive(true, 15_000);
      const lines = createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY });
      await new Promise<void>((resolve, reject) => {
        response.on("error", reject);
        response.on("close", resolve);
        // The interface hands on the error of what it reads, and nobody listening would end the process.
        lines.on("error", reject);
        lines.on("line", (line) => {
          try {
            onLine(line);
          } catch (error) {
            response.destroy(error as Error);
          }
        });
      });
    },
  };
};
