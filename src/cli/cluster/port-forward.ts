import { request } from "node:http";
import { Duplex, PassThrough } from "node:stream";
import { PortForward } from "@kubernetes/client-node";
import { type ClusterClient, explain } from "./client.js";

const deadlineMilliseconds = 15_000;

/** What the API server answers in place of the WebSocket, in words; the client's error holds the status alone. */
const refusalOf = (error: unknown): string => {
  const message = (error as { readonly message?: unknown }).message;
  const status = /Unexpected server response: (\d+)/.exec(String(message))?.[1];
  if (status === "403") return "not allowed; use credentials that may create pods/portforward in this namespace";
  if (status === "404") return "there is no such pod any more; run the command again";
  return typeof message === "string" && message !== "" ? message : String(error);
};

/**
 * GET of a path from a port that a pod listens on at its loopback, through the API server and the kubelet; the JSON of the
 * answer. Rejects with an Error that says what failed and what to do next.
 */
export const getFromPod = async (
  client: ClusterClient,
  {
    namespace,
    pod,
    port,
    path,
    host,
  }: Readonly<Record<"namespace" | "pod" | "path" | "host", string>> & { readonly port: number },
): Promise<unknown> => {
  const [fromPod, errors, toPod] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const what = `port ${port} of pod ${namespace}/${pod}`;
  let socket: { readonly close: () => void; onclose: unknown };
  try {
    socket = (await new PortForward(client.kubeConfig).portForward(
      namespace,
      pod,
      [port],
      fromPod,
      errors,
      toPod,
    )) as unknown as typeof socket;
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    throw typeof code === "string" ? explain(client, what, error) : new Error(`${what}: ${refusalOf(error)}`);
  }
  const connection = Duplex.from({ readable: fromPod, writable: toPod });
  socket.onclose = () => fromPod.end();
  try {
    return await new Promise<unknown>((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`${what}: ${why}`));
      const timer = setTimeout(() => fail("no answer in time; see the log of heddled"), deadlineMilliseconds);
      errors.on("data", (text: Buffer) => fail(text.toString("utf8").trim()));
      connection.on("error", (error) => fail(error.message));
      const sent = request(
        { path, headers: { host, connection: "close" }, createConnection: () => connection },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", (error) => fail(error.message));
          response.on("end", () => {
            clearTimeout(timer);
            const body = Buffer.concat(chunks).toString("utf8");
            if (response.statusCode !== 200) return fail(`answered ${response.statusCode}: ${body.slice(0, 200)}`);
            try {
              resolve(JSON.parse(body));
            } catch {
              fail("answered something that is not JSON");
            }
          });
        },
      );
      sent.on("error", (error) => fail(error.message));
      sent.end();
    });
  } finally {
    socket.close();
    connection.destroy();
  }
};
