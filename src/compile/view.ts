import type { EncodedResource, ResourceView, Touched, TypeUrl } from "./resources.js";

/** A view that is written in batches: `commit` tells what differs since the last one. */
export interface WritableView extends ResourceView {
  readonly set: (type: TypeUrl, resource: EncodedResource) => void;
  readonly remove: (type: TypeUrl, name: string) => void;
  readonly onChange: (listener: (touched: Touched) => void) => () => void;
  readonly commit: () => void;
  readonly listeners: () => number;
}

export const createView = (): WritableView => {
  const resources = new Map<TypeUrl, Map<string, EncodedResource>>();
  const changed = new Map<TypeUrl, Set<string>>();
  const listeners = new Set<(touched: Touched) => void>();
  const mapOf = (type: TypeUrl): Map<string, EncodedResource> => {
    const known = resources.get(type);
    if (known !== undefined) return known;
    const map = new Map<string, EncodedResource>();
    resources.set(type, map);
    return map;
  };
  const touch = (type: TypeUrl, name: string): void => {
    const names = changed.get(type);
    if (names === undefined) changed.set(type, new Set([name]));
    else names.add(name);
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
