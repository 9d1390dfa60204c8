import { randomBytes } from "node:crypto";
import type { PodNotice } from "../admission/notices.js";
import type { ApiClient } from "../watch/api-client.js";
import type { Nack } from "./control-plane.js";

/** A core/v1 Event that is to be told of an object. */
export interface EventNotice {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  readonly subject: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid?: string;
  };
}

export interface EventRecorderOptions {
  readonly client: ApiClient;
  /** Name of the pod that tells. */
  readonly instance: string;
  readonly failed: (error: Error) => void;
  /** Events a minute in all; the rest is dropped, since a crash-looping Job must not flood the API server. */
  readonly perMinute?: number;
  /** The same one is told again only after this time, in milliseconds, and then counted up. */
  readonly repeat?: number;
  readonly now?: () => number;
}

const longestMessage = 1000;
const mostRemembered = 1000;

const cut = (message: string): string =>
  message.length > longestMessage ? `${message.slice(0, longestMessage - 3)}...` : message;

/** Writes Events without making anyone wait. */
export const createEventRecorder = (options: EventRecorderOptions): ((notice: EventNotice) => void) => {
  const { client, perMinute = 60, repeat = 600_000, now = Date.now } = options;
  const told = new Map<string, { readonly name: string; readonly count: number; readonly at: number }>();
  let windowStart = 0;
  let inWindow = 0;

  const write = async (notice: EventNotice, name: string, count: number, at: number): Promise<void> => {
    const { subject } = notice;
    const collection = `/api/v1/namespaces/${subject.namespace}/events`;
    const timestamp = new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
    if (count > 1)
      await client.call(`${collection}/${name}`, {
        method: "PATCH",
        contentType: "application/merge-patch+json",
        body: { count, lastTimestamp: timestamp },
      });
    else
      await client.call(collection, {
        method: "POST",
        body: {
          apiVersion: "v1",
          kind: "Event",
          metadata: { name, namespace: subject.namespace },
          involvedObject: subject,
          type: notice.type,
          reason: notice.reason,
          message: cut(notice.message),
          source: { component: "heddled" },
          reportingComponent: "heddled",
          reportingInstance: options.instance,
          firstTimestamp: timestamp,
          lastTimestamp: timestamp,
          count,
        },
      });
  };

  return (notice) => {
    const at = now();
    const { subject, reason, message } = notice;
    const key = [subject.kind, subject.namespace, subject.uid ?? subject.name, reason, message].join("\n");
    const before = told.get(key);
    if (before !== undefined && at - before.at < repeat) return;
    if (at - windowStart >= 60_000) {
      windowStart = at;
      inWindow = 0;
    }
    if (inWindow >= perMinute) return;
    inWindow += 1;
    const name = before?.name ?? `${subject.name.slice(0, 200)}.${randomBytes(8).toString("hex")}`;
    const count = (before?.count ?? 0) + 1;
    told.delete(key);
    told.set(key, { name, count, at });
    if (told.size > mostRemembered) told.delete(told.keys().next().value!);
    write(notice, name, count, at).catch((error: Error) => {
      // The API server forgets Events after an hour; then the next one begins anew.
      told.delete(key);
      options.failed(new Error(`cannot write an Event: ${error.message}`));
    });
  };
};

const cures: Readonly<Record<PodNotice["outcome"], string>> = {
  "left out": 'change that, or say that it is meant with the label sidecar.istio.io/inject: "false" on the pod',
  refused: "correct it in the pod's template",
};

/** On what made the pod, else on the namespace: the pod itself does not exist yet, or never will. */
export const eventOfPod = ({ outcome, namespace, pod, owner, reason }: PodNotice): EventNotice => ({
  type: "Warning",
  reason: outcome === "refused" ? "SidecarInjectionRefused" : "SidecarNotInjected",
  message:
    outcome === "refused" ? `${reason}; ${cures.refused}` : `pod ${pod} gets no sidecar: ${reason}; ${cures[outcome]}`,
  subject:
    owner === undefined ? { apiVersion: "v1", kind: "Namespace", namespace, name: namespace } : { ...owner, namespace },
});

/** On the pod whose proxy rejected what it was sent. */
export const eventOfNack = ({ proxy, type, names, message }: Nack): EventNotice => {
  const kind = type.slice(type.lastIndexOf(".") + 1);
  const shown = names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
  return {
    type: "Warning",
    reason: "ConfigurationRejected",
    message: `the proxy keeps the last good configuration and rejected ${kind} ${shown}: ${message}`,
    subject: { apiVersion: "v1", kind: "Pod", namespace: proxy.namespace, name: proxy.podName, uid: proxy.podUid },
  };
};
