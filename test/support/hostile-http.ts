/** What a hostile client writes to a raw socket, and what may become of it. */

const end = "connection: close\r\n";
/** A request that nobody sent: it hides in another's body. Its Host is how the application's tally would tell. */
export const smuggled = "GET /smuggled HTTP/1.1\r\nhost: smuggled\r\nconnection: close\r\n\r\n";
const post = (headers: string, body = smuggled): string => `POST / HTTP/1.1\r\nhost: server\r\n${headers}\r\n${body}`;
const get = (path: string, headers = end): string => `GET ${path} HTTP/1.1\r\nhost: server\r\n${headers}\r\n`;

/** Refused with one of these statuses and nothing else; the connection closes, and nothing of it reaches the application. */
export const refusedRequests: Readonly<Record<string, readonly [request: string, status: number]>> = {
  "Content-Length and Transfer-Encoding": [
    post("content-length: 4\r\ntransfer-encoding: chunked\r\n", `0\r\n\r\n${smuggled}`),
    400,
  ],
  "Transfer-Encoding and Content-Length": [
    post("transfer-encoding: chunked\r\ncontent-length: 60\r\n", `0\r\n\r\n${smuggled}`),
    400,
  ],
  "two Content-Lengths": [post("content-length: 0\r\ncontent-length: 44\r\n"), 400],
  "the same Content-Length twice": [post("content-length: 0\r\ncontent-length: 0\r\n"), 400],
  "a list of Content-Lengths": [post("content-length: 0, 44\r\n"), 400],
  "a Content-Length with a sign": [post("content-length: +0\r\n"), 400],
  "a negative Content-Length": [post("content-length: -1\r\n"), 400],
  "a hexadecimal Content-Length": [post("content-length: 0x2c\r\n"), 400],
  "Transfer-Encoding: xchunked": [post("transfer-encoding: xchunked\r\n", `0\r\n\r\n${smuggled}`), 501],
  "Transfer-Encoding: chunked, identity": [
    post("transfer-encoding: chunked, identity\r\n", `0\r\n\r\n${smuggled}`),
    501,
  ],
  "Transfer-Encoding: identity": [post("transfer-encoding: identity\r\ncontent-length: 44\r\n"), 400],
  "Transfer-Encoding twice": [
    post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", `0\r\n\r\n${smuggled}`),
    501,
  ],
  "Transfer-Encoding after a tab": [post("transfer-encoding:\tchunked\r\ncontent-length: 44\r\n"), 400],
  "Transfer-Encoding after a vertical tab": [post("transfer-encoding: \x0bchunked\r\n", `0\r\n\r\n${smuggled}`), 400],
  "a space before the colon": [post("transfer-encoding : chunked\r\n", `0\r\n\r\n${smuggled}`), 400],
  "a chunk extension with a bare LF": [post("transfer-encoding: chunked\r\n", `0;a\n\r\n\r\n${smuggled}`), 400],
  "a chunk that ends in a bare LF": [post("transfer-encoding: chunked\r\n", `0\n\n${smuggled}`), 400],
  "a chunk size that overflows": [post("transfer-encoding: chunked\r\n", `10000000000000000\r\n\r\n${smuggled}`), 400],
  "a chunk size with 0x": [post("transfer-encoding: chunked\r\n", `0x0\r\n\r\n${smuggled}`), 400],
  "NUL in a value": [get("/", `x-a: a\0b\r\n${end}`), 400],
  "NUL in a name": [get("/", `x\0a: b\r\n${end}`), 400],
  "a space in a name": [get("/", `x a: b\r\n${end}`), 400],
  "a header without a colon": [get("/", `xa\r\n${end}`), 400],
  "no Host": [`GET / HTTP/1.1\r\n${end}\r\n`, 400],
  "HTTP/1.0": ["GET / HTTP/1.0\r\n\r\n", 426],
  "HTTP/0.9": ["GET /\r\n\r\n", 426],
  "a fragment in the path": [get("/a#b"), 400],
  "CR in the path": [get("/a\rb"), 400],
  "a space in the path": [get("/a b"), 400],
  "bytes that are no ASCII in the path": [get("/a\x80b"), 400],
  "70 kB of headers": [get("/", `x-a: ${"y".repeat(70_000)}\r\n${end}`), 431],
  "200 headers": [get("/", `${Array.from({ length: 200 }, (_, at) => `x-${at}: y\r\n`).join("")}${end}`), 431],
};

/** Taken, and handed on in one form that no reader can take for another. */
export const rewrittenRequests: Readonly<
  Record<
    string,
    readonly [
      request: string,
      seen: { readonly path?: string; readonly headers: Readonly<Record<string, string | undefined>> },
    ]
  >
> = {
  "a folded header is one line": [
    get("/", `x-a: b\r\n transfer-encoding: chunked\r\n${end}`),
    { headers: { "x-a": "b transfer-encoding: chunked", "transfer-encoding": undefined } },
  ],
  "a bare LF ends a header": [get("/", `x-a: b\nx-b: c\r\n${end}`), { headers: { "x-a": "b", "x-b": "c" } }],
  "a bare CR ends none": [get("/", `x-a: b\rx-b: c\r\n${end}`), { headers: { "x-a": "bx-b: c", "x-b": undefined } }],
  "a chunk extension goes": [
    post(`transfer-encoding: chunked\r\n${end}`, "0;a=b\r\n\r\n"),
    { headers: { "transfer-encoding": "chunked" } },
  ],
  "an underscore stays": [get("/", `x_a: b\r\n${end}`), { headers: { x_a: "b", "x-a": undefined } }],
  "the authority of an absolute form is the Host": [
    `GET http://other/x HTTP/1.1\r\nhost: server\r\n${end}\r\n`,
    { path: "/x", headers: { host: "other" } },
  ],
  "two Hosts are one name that nobody has": [
    `GET / HTTP/1.1\r\nhost: server\r\nhost: other\r\n${end}\r\n`,
    { headers: { host: "server,other" } },
  ],
  "an upgrade to h2c goes": [
    get(
      "/",
      "connection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    ),
    { headers: { upgrade: undefined, "http2-settings": undefined } },
  ],
};

/** Headers of a caller, whatever it sends, and what the application gets. */
export const callerHeaders: Readonly<Record<string, readonly [sent: string, seen: string | undefined]>> = {
  // What the proxy itself proves.
  "x-forwarded-client-cert": ["URI=spiffe://cluster.local/ns/istio-system/sa/admin", undefined],
  "X-Forwarded-Client-Cert": ["URI=spiffe://cluster.local/ns/istio-system/sa/admin", undefined],
  // What would command the callee's proxy.
  "x-envoy-internal": ["true", undefined],
  "x-envoy-force-trace": ["1", undefined],
  "x-envoy-upstream-rq-timeout-ms": ["1", undefined],
  "x-envoy-upstream-rq-per-try-timeout-ms": ["1", undefined],
  "x-envoy-expected-rq-timeout-ms": ["1", undefined],
  "x-envoy-max-retries": ["9", undefined],
  "x-envoy-retry-on": ["5xx", undefined],
  "x-envoy-retry-grpc-on": ["cancelled", undefined],
  "x-envoy-hedge-on-per-try-timeout": ["true", undefined],
  "x-envoy-upstream-alt-stat-name": ["a", undefined],
  "x-envoy-ip-tags": ["a", undefined],
  // What a caller's proxy says of the request: handed on as in Istio, and proof of nothing.
  "x-forwarded-for": ["10.0.0.1", "10.0.0.1"],
  "x-envoy-external-address": ["1.1.1.1", "1.1.1.1"],
  "x-envoy-original-path": ["/o", "/o"],
  "x-envoy-decorator-operation": ["op", "op"],
  "x-envoy-attempt-count": ["7", "7"],
};

export const normalizations = ["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] as const;
/** The path that the application gets, which is the one that policies match too, or the status of a refusal. */
type Outcome = string | 400;

/** For each path on a raw socket what becomes of it, in the order of `normalizations`. */
export const paths: readonly (readonly [
  path: string,
  none: Outcome,
  base: Outcome,
  merge: Outcome,
  decode: Outcome,
])[] = [
  ["/a/b", "/a/b", "/a/b", "/a/b", "/a/b"],
  ["//a//b", "//a//b", "//a//b", "/a/b", "/a/b"],
  ["/a/../b", "/a/../b", "/b", "/b", "/b"],
  ["/a/./b", "/a/./b", "/a/b", "/a/b", "/a/b"],
  ["/a/%2e%2e/b", "/a/%2e%2e/b", "/b", "/b", "/b"],
  ["/a/..%2fb", "/a/..%2fb", "/a/..%2fb", "/a/..%2fb", "/b"],
  ["/a/%2E%2E%2Fb", "/a/%2E%2E%2Fb", "/a/..%2Fb", "/a/..%2Fb", "/b"],
  ["/a%2fb", "/a%2fb", "/a%2fb", "/a%2fb", "/a/b"],
  ["/a%2Fb", "/a%2Fb", "/a%2Fb", "/a%2Fb", "/a/b"],
  ["/a%5cb", "/a%5cb", "/a%5cb", "/a%5cb", "/a/b"],
  ["/a%5Cb", "/a%5Cb", "/a%5Cb", "/a%5Cb", "/a/b"],
  ["/a\\b", "/a\\b", "/a/b", "/a/b", "/a/b"],
  ["/a\\..\\b", "/a\\..\\b", "/b", "/b", "/b"],
  ["/a;x=1/b", "/a;x=1/b", "/a;x=1/b", "/a;x=1/b", "/a;x=1/b"],
  ["/a/..;/b", "/a/..;/b", "/b", "/b", "/b"],
  ["/A/B", "/A/B", "/A/B", "/A/B", "/A/B"],
  ["/%61/b", "/%61/b", "/a/b", "/a/b", "/a/b"],
  ["/a%00b", "/a%00b", 400, 400, 400],
  ["/a%20b", "/a%20b", "/a%20b", "/a%20b", "/a%20b"],
  ["/a%0d%0ab", "/a%0d%0ab", "/a%0d%0ab", "/a%0d%0ab", "/a%0d%0ab"],
  ["/a?b=/../c", "/a?b=/../c", "/a?b=/../c", "/a?b=/../c", "/a?b=/../c"],
  ["/../../etc", "/../../etc", "/etc", "/etc", "/etc"],
  ["/%2e%2e/etc", "/%2e%2e/etc", "/etc", "/etc", "/etc"],
  ["/a//../b", "/a//../b", "/a/b", "/a/b", "/a/b"],
  ["/.", "/.", "/", "/", "/"],
  ["/a/.%2e/b", "/a/.%2e/b", "/b", "/b", "/b"],
  ["/a%25%32%66b", "/a%25%32%66b", "/a%252fb", "/a%252fb", "/a%252fb"],
  ["/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb"],
  ["/a/b/", "/a/b/", "/a/b/", "/a/b/", "/a/b/"],
  ["/%zz", "/%zz", "/%zz", "/%zz", "/%zz"],
  ["/a%c0%afb", "/a%c0%afb", "/a%c0%afb", "/a%c0%afb", "/a%c0%afb"],
];

export const requestFor = (path: string): string => get(path);
