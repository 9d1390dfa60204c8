import type { Pod } from "../../api/kubernetes.js";
import { ApiError, createApiClient } from "../../watch/api-client.js";
import type { ClusterClient } from "../cluster/client.js";
import { type Answer, podNameOf } from "./report.js";
import { inboundStatisticsOf, statisticsSince } from "./statistics.js";

const timeoutMilliseconds = 10_000;
const atOnce = 16;

const reasonOf = (error: unknown): string => {
  if (!(error instanceof ApiError)) {
    const { name, message } = error as Error;
    return name === "TimeoutError" || name === "AbortError"
      ? `no answer in ${timeoutMilliseconds / 1000} s; look whether the pod is ready`
      : message;
  }
  const { status, message } = error;
  if (status === 403) return `${message}; have somebody allow you to get pods/proxy in the pod's namespace`;
  if (status === 404 && !message.includes("not found"))
    return "its sidecar is of an earlier version, which does not count callers; restart the pod";
  return `${message}; look whether the pod is ready`;
};

const askOne = async (client: ClusterClient, pod: Pod): Promise<Answer> => {
  const { namespace, name } = pod.metadata ?? {};
  const path = `/api/v1/namespaces/${namespace}/pods/${name}:15090/proxy/stats/inbound`;
  let text = "";
  try {
    await createApiClient(client.kubeConfig).lines(
      path,
      (line) => {
        text += `${line}\n`;
      },
      AbortSignal.timeout(timeoutMilliseconds),
    );
    return { statistics: inboundStatisticsOf(text) };
  } catch (error) {
    return { unanswered: reasonOf(error) };
  }
};

/** Asks the pods' proxies by way of the API server. Never rejects: what could not be had is an answer too. */
const askAll = async (client: ClusterClient, pods: readonly Pod[]): Promise<ReadonlyMap<string, Answer>> => {
  const answers = new Map<string, Answer>();
  const left = pods.values();
  const worker = async (): Promise<void> => {
    for (const pod of left) answers.set(podNameOf(pod), await askOne(client, pod));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return answers;
};

const between = (now: Answer, before: Answer | undefined): Answer => {
  if ("unanswered" in now) return now;
  if (before === undefined || "unanswered" in before) return before ?? { unanswered: "it was not asked" };
  return { statistics: statisticsSince(now.statistics, before.statistics) };
};

/** All that the proxies have counted, or what comes within a window of so many seconds. */
export const ask = async (
  client: ClusterClient,
  pods: readonly Pod[],
  windowSeconds: number | undefined,
): Promise<ReadonlyMap<string, Answer>> => {
  const first = await askAll(client, pods);
  if (windowSeconds === undefined) return first;
  await new Promise((resolve) => setTimeout(resolve, windowSeconds * 1000));
  const second = await askAll(client, pods);
  return new Map([...second].map(([pod, answer]) => [pod, between(answer, first.get(pod))]));
};
