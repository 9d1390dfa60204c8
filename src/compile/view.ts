import type { EncodedResource, ResourceView, Touched, TypeUrl } from "./resources.js";

/** A view that is written in batches: `commit` tells what differs since the last one. */
export interface WritableView extends ResourceView {
  readonly set: (type: TypeUrl, resource: EncodedResource) => void;
  readonly remove: (type: TypeUrl, name: string) => void;
  /** Over a view below: the name is not there, whatever the view below has. */
  readonly hide: (type: TypeUrl, name: string) => void;
  readonly hides: (type: TypeUrl, name: string) => boolean;
  readonly onChange: (listener: (touched: Touched) => void) => () => void;
  readonly commit: () => void;
  readonly listeners: () => number;
}

export const createView = (): WritableView => {
  /** `undefined` hides. */
  const resources = new Map<TypeUrl, Map<string, EncodedResource | undefined>>();
  const changed = new Map<TypeUrl, Set<string>>();
  const listeners = new Set<(touched: Touched) => void>();
  const mapOf = (type: TypeUrl): Map<string, EncodedResource | undefined> => {
    const known = resources.get(type);
    if (known !== undefined) return known;
    const map = new Map<string, EncodedResource | undefined>();
    resources.set(type, map);
    return map;
  };
  const touch = (type: TypeUrl, name: string): void => {
    const names = changed.get(type);
    if (names === undefined) changed.set(type, new Set([name]));
    else names.add(name);
  };
  const hides: WritableView["hides"] = (type, name) => {
    const map = resources.get(type);
    return map?.get(name) === undefined && map?.has(name) === true;
  };
  return {
    get: (type, name) => resources.get(type)?.get(name),
    names: (type) => resources.get(type)?.keys() ?? [],
    set: (type, resource) => {
      const map = mapOf(type);
      if (map.get(resource.name)?.version === resource.version) return;
      map.set(resource.name, resource);
      touch(type, resource.name);
    },
    remove: (type, name) => {
      if (mapOf(type).delete(name)) touch(type, name);
    },
    hide: (type, name) => {
      if (hides(type, name)) return;
      mapOf(type).set(name, undefined);
      touch(type, name);
    },
    hides,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    commit: () => {
      if (changed.size === 0) return;
      const touched: Touched = new Map([...changed].map(([type, names]) => [type, [...names]]));
      changed.clear();
      for (const listener of listeners) listener(touched);
    },
    listeners: () => listeners.size,
  };
};

/** Several views as one: the first that has a name, or hides it, decides. They can be exchanged for others. */
export interface LayeredView extends ResourceView {
  readonly onChange: (listener: (touched: Touched) => void) => () => void;
  /** Tells what is another resource under the new layers. */
  readonly exchange: (layers: readonly WritableView[]) => void;
  readonly release: () => void;
}

const find = (layers: readonly WritableView[], type: TypeUrl, name: string): EncodedResource | undefined => {
  for (const layer of layers) {
    const found = layer.get(type, name);
    if (found !== undefined || layer.hides(type, name)) return found;
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
  /** What a layer above decides does not change with a layer below. */
  const forward = (index: number, touched: Touched): void => {
    const above = layers.slice(0, index);
    if (above.length === 0) {
      tell(touched);
      return;
    }
    const isCovered = (type: TypeUrl, name: string): boolean =>
      above.some((layer) => layer.get(type, name) !== undefined || layer.hides(type, name));
    const seen = [...touched].flatMap(([type, names]): [TypeUrl, readonly string[]][] => {
      const open = names.filter((name) => !isCovered(type, name));
      return open.length === 0 ? [] : [[type, open]];
    });
    tell(new Map(seen));
  };
  const listen = (): void => {
    stops = layers.map((layer, index) => layer.onChange((touched) => forward(index, touched)));
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
      const before = layers;
      for (const stop of stops) stop();
      layers = next;
      listen();
      const touched = types.flatMap((type): [TypeUrl, readonly string[]][] => {
        const names = [...new Set([...namesIn(before, type), ...namesIn(next, type)])].filter(
          (name) => find(before, type, name) !== find(next, type, name),
        );
        return names.length === 0 ? [] : [[type, names]];
      });
      tell(new Map(touched));
    },
    release: () => {
      for (const stop of stops) stop();
    },
  };
};
