/** What came in over the connections of one kind: HTTP by request, and all by connection. */
export interface Volume {
  readonly connections: number;
  readonly requests: number;
}

/** What one address has sent to one port in plaintext. */
export interface PlaintextCaller {
  readonly port: number;
  readonly address: string;
  /** Of TCP that reached the application. */
  readonly connections: number;
  /** Of HTTP that reached the application. */
  readonly requests: number;
  /** Of both, under way. */
  readonly open: number;
}

/** Of one proxy, since it started; of callers, since they were first seen. */
export interface InboundStatistics {
  /** By port of the container; `other` is the ports in no Service. */
  readonly mtls: ReadonlyMap<number | "other", Volume>;
  readonly plaintext: ReadonlyMap<number | "other", Volume>;
  readonly callers: readonly PlaintextCaller[];
  /** Whether there can be callers that the proxy has no more room to name. */
  readonly isFull: boolean;
}

/** As many callers as a filter chain remembers (src/compile/plaintext-callers.ts): with fewer, all are named. */
const remembered = 1000;

const sampleLine = /^([a-zA-Z_:][\w:]*)\{(.*)\} ([\d.e+]+)$/;
const label = /(\w+)="((?:[^"\\]|\\.)*)"/g;
/** `inbound_0.0.0.0_8080`, `inbound|8080||`, `inbound_passthrough`, `InboundPassthroughCluster`; then `_plaintext`. */
const place = /^(?:inbound_(?:[\d.]+_(\d+)|passthrough)|inbound\|(\d+)\|\||InboundPassthroughCluster)(_plaintext)?$/;

const add = (volumes: Map<number | "other", Volume>, port: number | "other", more: Partial<Volume>): void => {
  const { connections, requests } = volumes.get(port) ?? { connections: 0, requests: 0 };
  volumes.set(port, {
    connections: connections + (more.connections ?? 0),
    requests: requests + (more.requests ?? 0),
  });
};

const volumeFields: Readonly<Record<string, keyof Volume>> = {
  envoy_http_downstream_cx_total: "connections",
  envoy_http_downstream_rq_total: "requests",
  envoy_tcp_downstream_cx_total: "connections",
};

const callerFields: Readonly<Record<string, "connections" | "requests" | "open">> = {
  envoy_heddle_inbound_plaintext_connections: "connections",
  envoy_heddle_inbound_plaintext_requests: "requests",
  envoy_heddle_inbound_plaintext_connections_open: "open",
  envoy_heddle_inbound_plaintext_requests_open: "open",
};

/** Of a proxy's answer to `/stats/inbound`, in Prometheus' text format. */
export const inboundStatisticsOf = (text: string): InboundStatistics => {
  const mtls = new Map<number | "other", Volume>();
  const plaintext = new Map<number | "other", Volume>();
  const callers = new Map<string, PlaintextCaller>();
  const names = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, name = "", labelText = "", value = ""] = sampleLine.exec(line) ?? [];
    const labels = new Map([...labelText.matchAll(label)].map(([, key = "", own = ""]) => [key, own]));
    const amount = Number(value);
    if (Object.hasOwn(callerFields, name)) {
      const [port, address] = [Number(labels.get("destination_port")), labels.get("source_address") ?? ""];
      const known = callers.get(`${port} ${address}`) ?? { port, address, connections: 0, requests: 0, open: 0 };
      const field = callerFields[name]!;
      callers.set(`${port} ${address}`, { ...known, [field]: known[field] + amount });
      names.set(name, (names.get(name) ?? 0) + 1);
    } else if (Object.hasOwn(volumeFields, name)) {
      const prefix = [...labels].find(([key]) => key.endsWith("_prefix"))?.[1] ?? "";
      const found = place.exec(prefix);
      if (found === null) continue;
      const [, ofHttp, ofTcp, isPlain] = found;
      const port = ofHttp ?? ofTcp;
      const volumes = isPlain === undefined ? mtls : plaintext;
      add(volumes, port === undefined ? "other" : Number(port), { [volumeFields[name]!]: amount });
    }
  }
  return {
    mtls,
    plaintext,
    callers: [...callers.values()],
    isFull: [...names.values()].some((count) => count >= remembered),
  };
};

const since = (now: number, before: number | undefined): number =>
  // A caller that was forgotten meanwhile counts from zero.
  before === undefined || now < before ? now : now - before;

const volumesSince = (
  now: ReadonlyMap<number | "other", Volume>,
  before: ReadonlyMap<number | "other", Volume>,
): ReadonlyMap<number | "other", Volume> =>
  new Map(
    [...now].map(([port, { connections, requests }]) => [
      port,
      {
        connections: since(connections, before.get(port)?.connections),
        requests: since(requests, before.get(port)?.requests),
      },
    ]),
  );

/** What came between two answers of a proxy; who is left has sent something or has something under way. */
export const statisticsSince = (now: InboundStatistics, before: InboundStatistics): InboundStatistics => {
  const known = new Map(before.callers.map((caller) => [`${caller.port} ${caller.address}`, caller]));
  return {
    mtls: volumesSince(now.mtls, before.mtls),
    plaintext: volumesSince(now.plaintext, before.plaintext),
    callers: now.callers
      .map((caller) => {
        const earlier = known.get(`${caller.port} ${caller.address}`);
        return {
          ...caller,
          connections: since(caller.connections, earlier?.connections),
          requests: since(caller.requests, earlier?.requests),
        };
      })
      .filter(({ connections, requests, open }) => connections + requests + open > 0),
    isFull: now.isFull,
  };
};
