import type { Pod } from "../api/kubernetes.js";
import { refuseConnections, tellCallersToGo } from "../compile/clusters/drain.js";
import { typeUrls } from "../compile/resources.js";
import { createView, type WritableView } from "../compile/view.js";

/** How long before the proxy's end it takes no more connections, so that what is under way is answered. */
const refusingMilliseconds = 1500;

/** How long the proxy goes on after the pod's deletion; undefined if it is not the proxy that decides. */
const drainMilliseconds = (pod: Pod): number | undefined => {
  const proxy = pod.spec?.containers.find(({ name }) => name === "istio-proxy");
  const seconds = proxy?.lifecycle?.preStop?.sleep?.seconds;
  return seconds === undefined ? undefined : seconds * 1000;
};

export interface Ending {
  readonly view: WritableView;
  /** To be called with every version of the pod; only the first with a deletionTimestamp does anything. */
  readonly follow: (pod: Pod) => void;
  readonly release: () => void;
}

/**
 * What an ending pod's proxy is sent, to let its callers go before it goes itself. A native sidecar lasts as long as the
 * application and takes connections to the end, since peers may have to reach it.
 */
export const createEnding = (): Ending => {
  const view = createView();
  let hasBegun = false;
  let timer: NodeJS.Timeout | undefined;
  const send = (resource: Parameters<WritableView["set"]>[1]): void => {
    view.set(typeUrls.cluster, resource);
    view.commit();
  };
  return {
    view,
    follow: (pod) => {
      if (hasBegun || pod.metadata?.deletionTimestamp === undefined) return;
      hasBegun = true;
      send(tellCallersToGo);
      const drain = drainMilliseconds(pod);
      if (drain === undefined) return;
      timer = setTimeout(() => send(refuseConnections), Math.max(0, drain - refusingMilliseconds)).unref();
    },
    release: () => clearTimeout(timer),
  };
};
