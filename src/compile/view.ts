import type { EncodedResource, ResourceView, Touched, TypeUrl } from "./resources.js";

/** What a view says of a name; `undefined`: nothing, a view below decides. */
type Entry = EncodedResource | "hidden" | undefined;

/** A view that is written in batches: `tell` says what differs since the last `settle`. */
export interface WritableView extends ResourceView {
  readonly set: (type: TypeUrl, resource: EncodedResource) => void;
  readonly remove: (type: TypeUrl, name: string) => void;
  /** Over a view below: the name is not there, whatever the view below has. */
  readonly hide: (type: TypeUrl, name: string) => void;
  readonly now: (type: TypeUrl, name: string) => Entry;
  /** As it was before this batch. */
  readonly before: (type: TypeUrl, name: string) => Entry;
  readonly namesBefore: (type: TypeUrl) => Iterable<string>;
  readonly onChange: (listener: (touched: Touched) => void) => () => void;
  readonly tell: () => void;
  readonly settle: () => void;
  /** Both, for a view that nothing of the same batch lies over or under. */
  readonly commit: () => void;
  readonly listeners: () => number;
}

export const createView = (): WritableView => {
  const resources = new Map<TypeUrl, Map<string, EncodedResource | "hidden">>();
  const earlier = new Map<TypeUrl, Map<string, Entry>>();
  const listeners = new Set<(touched: Touched) => void>();
  const now: WritableView["now"] = (type, name) => resources.get(type)?.get(name);
  const write = (type: TypeUrl, name: string, entry: Entry): void => {
    const map = resources.get(type) ?? new Map<string, EncodedResource | "hidden">();
    resources.set(type, map);
    const was = map.get(name);
    if (was === entry) return;
    const first = earlier.get(type) ?? new Map<string, Entry>();
    earlier.set(type, first);
    if (!first.has(name)) first.set(name, was);
    if (entry === undefined) map.delete(name);
    else map.set(name, entry);
  };
  const tell = (): void => {
    if (earlier.size === 0 || listeners.size === 0) return;
    const touched: Touched = new Map([...earlier].map(([type, names]) => [type, [...names.keys()]]));
    for (const listener of listeners) listener(touched);
  };
  const settle = (): void => earlier.clear();
  return {
    get: (type, name) => {
      const entry = now(type, name);
      return entry === "hidden" ? undefined : entry;
    },
    names: (type) => resources.get(type)?.keys() ?? [],
    set: (type, resource) => write(type, resource.name, resource),
    remove: (type, name) => write(type, name, undefined),
    hide: (type, name) => write(type, name, "hidden"),
    now,
    before: (type, name) => {
      const names = earlier.get(type);
      return names?.has(name) === true ? names.get(name) : now(type, name);
    },
    namesBefore: (type) => new Set([...(resources.get(type)?.keys() ?? []), ...(earlier.get(type)?.keys() ?? [])]),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tell,
    settle,
    commit: () => {
      tell();
      settle();
    },
    listeners: () => listeners.size,
  };
};

/** Several views as one: the first that has a name, or hides it, decides. They can be exchanged for others. */
export interface LayeredView extends ResourceView {
  readonly onChange: (listener: (touched: Touched) => void) => () => void;
  /**
   * Tells what is another resource under the new layers than before this batch. The layers' own changes are told of
   * after `resume`, which follows when they are settled.
   */
  readonly exchange: (layers: readonly WritableView[]) => { readonly resume: () => void };
  readonly release: () => void;
}

const find = (
  layers: readonly WritableView[],
  type: TypeUrl,
  name: string,
  at: "now" | "before" = "now",
): EncodedResource | undefined => {
  for (const layer of layers) {
    const entry = layer[at](type, name);
    if (entry !== undefined) return entry === "hidden" ? undefined : entry;
  }
  return undefined;
};

const namesIn = (layers: readonly WritableView[], type: TypeUrl): ReadonlySet<string> => {
  const names = new Set<string>();
  for (const layer of layers) for (const name of layer.names(type)) names.add(name);
  return names;
};

export const layerViews = (first: readonly WritableView[], types: readonly TypeUrl[]): LayeredView => {
  const listeners = new Set<(touched: Touched) => void>();
  let layers = first;
  let stops: readonly (() => void)[] = [];
  const tell = (touched: Touched): void => {
    if (touched.size > 0) for (const listener of listeners) listener(touched);
  };
  const pick = (
    type: TypeUrl,
    names: Iterable<string>,
    old: readonly WritableView[],
  ): readonly [TypeUrl, readonly string[]][] => {
    const differing = [...names].filter((name) => find(old, type, name, "before") !== find(layers, type, name));
    return differing.length === 0 ? [] : [[type, differing]];
  };
  /** What a layer above decides does not change with a layer below, and a name may go from one to another. */
  const forward = (touched: Touched): void =>
    tell(new Map([...touched].flatMap(([type, names]) => pick(type, names, layers))));
  const listen = (): void => {
    stops = layers.map((layer) => layer.onChange(forward));
  };
  const stopAll = (): void => {
    for (const stop of stops) stop();
    stops = [];
  };
  listen();
  return {
    get: (type, name) => find(layers, type, name),
    names: (type) => [...namesIn(layers, type)].filter((name) => find(layers, type, name) !== undefined),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    exchange: (next) => {
      const old = layers;
      stopAll();
      layers = next;
      const touched = types.flatMap((type) => {
        const names = new Set([...old.flatMap((layer) => [...layer.namesBefore(type)]), ...namesIn(next, type)]);
        return pick(type, names, old);
      });
      tell(new Map(touched));
      return {
        resume: () => {
          if (layers === next) listen();
        },
      };
    },
    release: stopAll,
  };
};
