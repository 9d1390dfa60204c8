import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import jsonPatch, { type Operation } from "fast-json-patch";
import { openAuthority } from "../../../src/identity/authority.js";
import { createMemorySecrets } from "../../../src/identity/memory-secrets.js";
import type { TokenReviewStatus } from "../../../src/identity/token.js";

/**
 * The part of the Kubernetes API that heddled uses, in memory and over HTTPS: lists, watches with field selectors,
 * create, replace, JSON and merge patch, TokenReview. The end-to-end tests use the real one.
 */
export interface ApiObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

interface Watcher {
  readonly matches: (object: ApiObject, plural: string) => boolean;
  readonly send: (type: string, object: ApiObject) => void;
}

/** `/api/v1/namespaces/shop/pods/a` taken apart. */
const takeApart = (path: string) => {
  const parts = path.split("/").filter((part) => part !== "");
  const rest = parts.slice(parts[0] === "api" ? 2 : 3);
  const isNamespaced = rest[0] === "namespaces" && rest.length > 2;
  const [plural = "", name] = isNamespaced ? rest.slice(2) : rest;
  return { plural, name, namespace: isNamespaced ? rest[1]! : "" };
};

const merge = (target: unknown, patch: unknown): unknown => {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const before = typeof target === "object" && target !== null ? (target as Record<string, unknown>) : {};
  return Object.fromEntries(
    [...new Set([...Object.keys(before), ...Object.keys(patch)])].map((key) => [
      key,
      Object.hasOwn(patch, key) ? merge(before[key], (patch as Record<string, unknown>)[key]) : before[key],
    ]),
  );
};

export const startApiServer = async (
  review: (token: string, audiences: readonly string[]) => Promise<TokenReviewStatus>,
) => {
  const objects = new Map<string, Map<string, ApiObject>>();
  const watchers = new Set<Watcher>();
  let version = 100;
  const of = (plural: string): Map<string, ApiObject> => {
    if (!objects.has(plural)) objects.set(plural, new Map());
    return objects.get(plural)!;
  };
  const keyOf = ({ namespace, name }: { readonly namespace?: string | undefined; readonly name: string }): string =>
    `${namespace ?? ""}/${name}`;

  const put = (plural: string, given: ApiObject): ApiObject => {
    const texts = (given["stringData"] ?? {}) as Readonly<Record<string, string>>;
    const data = Object.fromEntries(Object.entries(texts).map(([k, v]) => [k, Buffer.from(v).toString("base64")]));
    const { stringData: _, ...fields } = given;
    const object: ApiObject = {
      ...fields,
      ...(plural === "secrets" ? { data: { ...(given["data"] as object | undefined), ...data } } : {}),
      metadata: { ...given.metadata, resourceVersion: String(++version) },
    };
    const key = keyOf(object.metadata);
    const type = of(plural).has(key) ? "MODIFIED" : "ADDED";
    of(plural).set(key, object);
    for (const watcher of watchers) if (watcher.matches(object, plural)) watcher.send(type, object);
    return object;
  };

  const remove = (plural: string, namespace: string, name: string): void => {
    const before = of(plural).get(keyOf({ namespace, name }));
    if (before === undefined) return;
    of(plural).delete(keyOf({ namespace, name }));
    const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(++version) } };
    for (const watcher of watchers) if (watcher.matches(object, plural)) watcher.send("DELETED", object);
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const { plural, name, namespace } = takeApart(url.pathname);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body: unknown = chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString());
    const reply = (code: number, content: object): void => {
      response.writeHead(code, { "content-type": "application/json" });
      response.end(JSON.stringify(content));
    };
    const refuse = (code: number, message: string): void => reply(code, { kind: "Status", code, message });
    if (plural === "tokenreviews") {
      const { token, audiences } = (body as { spec: { token: string; audiences: string[] } }).spec;
      return reply(201, { ...(body as object), status: await review(token, audiences) });
    }
    if (name === undefined && request.method === "GET") {
      const wanted = url.searchParams.get("fieldSelector")?.replace("metadata.name=", "");
      const matches = (object: ApiObject, kind: string): boolean =>
        kind === plural &&
        (namespace === "" || object.metadata.namespace === namespace) &&
        (wanted === undefined || object.metadata.name === wanted);
      if (url.searchParams.get("watch") !== "true")
        return reply(200, {
          metadata: { resourceVersion: String(version) },
          items: [...of(plural).values()].filter((object) => matches(object, plural)),
        });
      response.writeHead(200, { "content-type": "application/json" });
      response.flushHeaders();
      const watcher: Watcher = {
        matches,
        send: (type, object) => response.write(`${JSON.stringify({ type, object })}\n`),
      };
      // What changed between the list and the watch.
      const since = Number(url.searchParams.get("resourceVersion"));
      for (const object of of(plural).values())
        if (matches(object, plural) && Number(object.metadata.resourceVersion) > since)
          watcher.send("MODIFIED", object);
      watchers.add(watcher);
      response.on("close", () => watchers.delete(watcher));
      return;
    }
    if (request.method === "POST") {
      const given = body as ApiObject;
      const object = { ...given, metadata: { ...given.metadata, namespace } };
      if (of(plural).has(keyOf(object.metadata))) return refuse(409, "already exists");
      return reply(201, put(plural, object));
    }
    const current = of(plural).get(keyOf({ namespace, name: name ?? "" }));
    if (current === undefined) return refuse(404, `${plural} ${name} not found`);
    if (request.method === "GET") return reply(200, current);
    if (request.method === "PUT") {
      const given = body as ApiObject;
      const expected = given.metadata.resourceVersion;
      if (expected !== undefined && expected !== current.metadata.resourceVersion) return refuse(409, "conflict");
      return reply(200, put(plural, given));
    }
    if (request.method === "PATCH") {
      const isJson = request.headers["content-type"] === "application/json-patch+json";
      try {
        const next = isJson
          ? jsonPatch.applyPatch(structuredClone(current), body as Operation[], true).newDocument
          : merge(current, body);
        return reply(200, put(plural, next as ApiObject));
      } catch (error) {
        return refuse(422, (error as Error).message);
      }
    }
    return refuse(405, `${request.method} is not supported`);
  };

  const authority = await openAuthority(createMemorySecrets(), "kubernetes");
  const { certificateChainPem: cert, privateKeyPem: key } = await authority.issue({ dnsNames: ["localhost"] }, 3600);
  const server = createServer({ cert, key }, (request, response) => {
    answer(request, response).catch((error: Error) => response.destroy(error));
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    /** As JSON, which YAML includes. */
    kubeconfig: JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      clusters: [
        {
          name: "test",
          cluster: {
            server: `https://localhost:${port}`,
            "certificate-authority-data": Buffer.from(authority.rootsPem).toString("base64"),
          },
        },
      ],
      users: [{ name: "test", user: { token: "unused" } }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    }),
    put,
    remove,
    get: (plural: string, namespace: string, name: string) => of(plural).get(keyOf({ namespace, name })),
    list: (plural: string): readonly ApiObject[] => [...of(plural).values()],
    /** Breaks every connection, as a restart of the API server does. */
    cut: () => server.closeAllConnections(),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

export type ApiServer = Awaited<ReturnType<typeof startApiServer>>;
