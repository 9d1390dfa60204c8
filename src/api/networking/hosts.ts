/** Whether a host that may begin with a star takes in all that `name`, which may begin with one too, does. */
export const hostCovers = (host: string, name: string): boolean => {
  const [outer, inner] = [host.toLowerCase(), name.toLowerCase()];
  return outer.startsWith("*") ? inner.endsWith(outer.slice(1)) && inner.length >= outer.length : outer === inner;
};

/** Pairs of which the first takes in the second; costs the length of the names, not the square of their number. */
export const coveredHosts = (hosts: readonly string[]): readonly { readonly index: number; readonly by: string }[] => {
  const first = new Map<string, number>();
  const lower = hosts.map((host) => host.toLowerCase());
  lower.forEach((host, index) => {
    if (!first.has(host)) first.set(host, index);
  });
  return lower.flatMap((host, index) => {
    if (first.get(host) !== index) return [{ index, by: hosts[first.get(host)!]! }];
    for (let at = host.startsWith("*") ? 2 : 1; at <= host.length; at++) {
      const wildcard = first.get(`*${host.slice(at)}`);
      if (wildcard !== undefined) return [{ index, by: hosts[wildcard]! }];
    }
    return [];
  });
};
