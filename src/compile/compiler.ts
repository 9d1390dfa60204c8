import type { ObjectEvent, Pod } from "../api/kubernetes.js";
import { defaultMeshConfig, type MeshConfig } from "../api/meshconfig.js";
import { applyEvents } from "../model/apply.js";
import { emptySnapshot, keyOf, namespaceOf, type Snapshot, type SnapshotDiff } from "../model/snapshot.js";
import { type Client, chosenLabels, clientOf, nobody, placeOf } from "./client.js";
import { createInbound, createShapes, type Inbound } from "./inbound.js";
import { createPolicyCompiler } from "./policy/policies.js";
import { createQuarantine } from "./quarantine.js";
import { type ResourceView, type Touched, type TypeUrl, typeUrls } from "./resources.js";
import { createScope, hostsOf, type Scope } from "./scope.js";
import { type LayeredView, layerViews, type WritableView } from "./view.js";

export interface AttachedWorkload {
  readonly layers: readonly ResourceView[];
  readonly onChange: (listener: (layer: ResourceView, touched: Touched) => void) => () => void;
  readonly release: () => void;
}

export interface Compiler {
  readonly apply: (events: readonly ObjectEvent[]) => void;
  readonly snapshot: () => Snapshot;
  /** The layers of this pod; undefined while the model does not know it with an address and this uid. */
  readonly attach: (namespace: string, podName: string, podUid: string) => AttachedWorkload | undefined;
  /** Keys of the EnvoyFilters, in force, that have shaped this resource as the pod's proxy is sent it. */
  readonly filtersOf: (namespace: string, podName: string, type: TypeUrl, name: string) => readonly string[];
  /**
   * An EnvoyFilter, by `namespace/name`, that proxies reject: its earlier version comes into force for all, then none,
   * until it is edited. Tells whether that changes anything.
   */
  readonly quarantine: (key: string) => boolean;
  /** Keys of the EnvoyFilters in quarantine. */
  readonly quarantined: () => readonly string[];
  /** Called after each batch. */
  readonly onApplied: (listener: (diff: SnapshotDiff) => void) => () => void;
}

/** A pod that proxies hold streams for; several if one is reconnecting. */
interface Workload {
  readonly inbound: Inbound;
  readonly view: LayeredView;
  scope: Scope;
  place: string;
  streams: number;
}

const servedTypes = Object.values(typeUrls);

/**
 * Holds the snapshot and what is made from it; a batch of events makes anew only what it touches. `closed` is told once of
 * a security policy that cannot be compiled and denies what it would have restricted.
 */
export const createCompiler = (
  mesh: MeshConfig = defaultMeshConfig,
  failed: (what: string, error: Error) => void = (_, error) => {
    throw error;
  },
  closed: (policy: string, error: Error) => void = failed,
): Compiler => {
  let snapshot = emptySnapshot(mesh);
  let chosen: ReadonlySet<string> = new Set();
  const bases = new Map<string, Scope>();
  const scopes = new Map<string, Scope>();
  const users = new Map<Scope, number>();
  const workloads = new Map<string, Workload>();
  const shapes = createShapes();
  const policies = createPolicyCompiler(closed);
  const quarantine = createQuarantine();
  const appliedListeners = new Set<(diff: SnapshotDiff) => void>();

  const baseOf = (client: Client): Scope => {
    const above = nobody(client);
    const known = bases.get(above.key);
    if (known !== undefined) return known;
    const base = createScope(snapshot, above, undefined, failed);
    base.update(snapshot, hostsOf(snapshot));
    base.settle();
    bases.set(above.key, base);
    return base;
  };

  /** Most see what everyone sees; a Sidecar or an EnvoyFilter makes so much different that nothing is shared. */
  const scopeOf = (client: Client): Scope => {
    const known = scopes.get(client.key);
    if (known !== undefined) return known;
    const isApart = client.sidecar !== undefined || client.filters.length > 0 || !client.isRedirected;
    const scope = createScope(snapshot, client, isApart ? undefined : baseOf(client), failed);
    scope.update(snapshot, hostsOf(snapshot));
    scope.settle();
    scopes.set(client.key, scope);
    return scope;
  };

  const layersOf = (inbound: Inbound, scope: Scope, pod: Pod): readonly WritableView[] => {
    const place = placeOf(snapshot, pod, chosen);
    return [
      inbound.view,
      ...[scope, ...(scope.base === undefined ? [] : [scope.base])].flatMap((each) => [
        each.placeView(place),
        each.view,
      ]),
    ];
  };

  const updateScopes = (hosts: ReadonlySet<string>): void => {
    if (hosts.size === 0) return;
    const changes = new Map([...bases.values()].map((base) => [base, base.update(snapshot, hosts)]));
    for (const scope of scopes.values())
      scope.update(snapshot, hosts, scope.base === undefined ? undefined : changes.get(scope.base));
  };

  /** A resource may go from a scope to its base or back: none settles before all have told. */
  const commitScopes = (): void => {
    const all = [...bases.values(), ...scopes.values()];
    for (const scope of all) scope.tell();
    for (const scope of all) scope.settle();
  };

  const hold = (scope: Scope): Scope => {
    users.set(scope, (users.get(scope) ?? 0) + 1);
    return scope;
  };

  const letGo = (scope: Scope): void => {
    const left = (users.get(scope) ?? 0) - 1;
    if (left > 0) users.set(scope, left);
    else {
      users.delete(scope);
      scopes.delete(scope.client.key);
      const { base } = scope;
      // Another way of telling of traffic has come into force for all; a base of the last proxy waits for the next.
      if (base !== undefined && scopes.size > 0 && ![...scopes.values()].some((other) => other.base === base))
        bases.delete(base.client.key);
    }
  };

  const move = (workload: Workload, pod: Pod, client: Client): readonly (() => void)[] => {
    const scope = scopeOf(client);
    const place = placeOf(snapshot, pod, chosen).key;
    if (scope === workload.scope && place === workload.place) return [];
    const before = workload.scope;
    workload.scope = hold(scope);
    workload.place = place;
    const { resume } = workload.view.exchange(layersOf(workload.inbound, scope, pod));
    letGo(before);
    return [resume];
  };

  const currentClientOf = (pod: Pod): Client => clientOf(snapshot, pod, chosen, quarantine.inForce);

  /** Gives what lets those that moved follow their new scopes, once these are settled. */
  const updateWorkloads = (
    diff: Pick<SnapshotDiff, "clients" | "pods" | "inbound" | "restricted">,
  ): readonly (() => void)[] => {
    const resumes: (() => void)[] = [];
    for (const [key, workload] of workloads) {
      const isTouched = diff.clients || diff.pods.has(key);
      const namespace = namespaceOf(key);
      const mayServeOther = isTouched || diff.inbound.has(namespace);
      if (!mayServeOther && !diff.restricted.has(namespace)) continue;
      const pod = snapshot.pods.get(key);
      if (pod === undefined) continue;
      if (!mayServeOther && !workload.inbound.isRestrictedAnew(snapshot, pod)) continue;
      const client = currentClientOf(pod);
      try {
        workload.inbound.update(snapshot, pod, client);
      } catch (error) {
        failed(`what pod ${key} serves`, error as Error);
      }
      workload.inbound.view.commit();
      if (isTouched) resumes.push(...move(workload, pod, client));
    }
    return resumes;
  };

  /** An object that the model cannot take is left out, and all others are taken. */
  const taken = (events: readonly ObjectEvent[]): readonly ObjectEvent[] => {
    try {
      applyEvents(snapshot, events);
      return events;
    } catch (error) {
      const [event] = events;
      if (events.length > 1 || event === undefined) {
        const middle = events.length >> 1;
        return [...taken(events.slice(0, middle)), ...taken(events.slice(middle))];
      }
      failed(`${event.kind} ${event.namespace}/${event.name}`, error as Error);
      return [];
    }
  };

  const next = (events: readonly ObjectEvent[]): ReturnType<typeof applyEvents> => {
    try {
      return applyEvents(snapshot, events);
    } catch {
      return applyEvents(snapshot, taken(events));
    }
  };

  const apply = (events: readonly ObjectEvent[]): void => {
    const { snapshot: latest, diff } = next(events);
    snapshot = latest;
    quarantine.follow(snapshot.envoyFilters);
    if (diff.clients) chosen = chosenLabels(snapshot);
    updateScopes(diff.hosts);
    // Moves are told against what was before the batch, so that they come before anything settles.
    const resumes = updateWorkloads(diff);
    commitScopes();
    for (const resume of resumes) resume();
    // Not sooner: who moves listens to nothing meanwhile.
    if (resumes.length > 0) for (const scope of [...bases.values(), ...scopes.values()]) scope.prune();
    for (const listener of appliedListeners) listener(diff);
  };

  const workloadOf = (key: string, pod: Pod): Workload => {
    const known = workloads.get(key);
    if (known !== undefined) return known;
    const client = currentClientOf(pod);
    const inbound = createInbound(shapes, policies);
    inbound.update(snapshot, pod, client);
    inbound.view.commit();
    const scope = hold(scopeOf(client));
    const workload: Workload = {
      inbound,
      scope,
      place: placeOf(snapshot, pod, chosen).key,
      view: layerViews(layersOf(inbound, scope, pod), servedTypes),
      streams: 0,
    };
    workloads.set(key, workload);
    return workload;
  };

  return {
    apply,
    snapshot: () => snapshot,
    filtersOf: (namespace, podName, type, name) => {
      const workload = workloads.get(keyOf(namespace, podName));
      if (workload === undefined) return [];
      return [...new Set([...workload.inbound.filtersOf(type, name), ...workload.scope.filtersOf(type, name)])];
    },
    quarantine: (key) => {
      const isChanged = quarantine.add(key);
      const resumes = isChanged
        ? updateWorkloads({ clients: true, pods: new Set(), inbound: new Set(), restricted: new Set() })
        : [];
      commitScopes();
      for (const resume of resumes) resume();
      return isChanged;
    },
    quarantined: quarantine.keys,
    onApplied: (listener) => {
      appliedListeners.add(listener);
      return () => appliedListeners.delete(listener);
    },
    attach: (namespace, podName, podUid) => {
      const key = keyOf(namespace, podName);
      const pod = snapshot.pods.get(key);
      if (pod === undefined || pod.metadata?.uid !== podUid || pod.status?.podIP === undefined) return undefined;
      const workload = workloadOf(key, pod);
      workload.streams += 1;
      return {
        layers: [workload.view],
        onChange: (listener) => workload.view.onChange((touched) => listener(workload.view, touched)),
        release: () => {
          workload.streams -= 1;
          if (workload.streams > 0 || workloads.get(key) !== workload) return;
          workloads.delete(key);
          workload.view.release();
          for (const scope of [workload.scope, workload.scope.base]) scope?.prune();
          letGo(workload.scope);
        },
      };
    },
  };
};
