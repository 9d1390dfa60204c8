import fc from "fast-check";

/** Few values for policies and requests alike, near to one another, so that they meet and narrowly miss. */

export const rootNamespace = "istio-system";
export const workloadNamespaces = ["shop", "dev"] as const;
/** None ends as `sa` does: what a suffix may reach beyond its segment is nobody's promise. */
export const peerNamespaces = ["shop", "shop-admin", "dev"] as const;
export const serviceAccounts = ["web", "web-admin", "default"] as const;
export const trustDomains = ["cluster.local", "mesh.example", "old.mesh.example"] as const;
export const providers = { "ask-http": "http" } as const;

export const podAddresses = { ipv4: "10.1.0.7", ipv6: "fd00::7" } as const;
/** What the pod serves: HTTP, TCP, a port of a Service without a protocol, and one in no Service. */
export const ports = { http: 8080, tcp: 9090, any: 8081, unknown: 7071 } as const;

export const hosts = [
  "shop.example.com",
  "shop.example.com:8080",
  "SHOP.Example.com",
  "api.shop.example.com",
  "example.com",
  "shop.example.com.evil.org",
] as const;
export const methods = ["GET", "POST", "PUT", "DELETE", "HEAD"] as const;
export const paths = [
  "/",
  "/admin",
  "/admin/",
  "/admin/users",
  "/administrator",
  "/info",
  "/info/1",
  "/foo/bar",
  "/foo/bar/baz.txt",
  "/foo/bar/",
  "/foo//",
] as const;
/** What requests may have beside them: other ways to write them, and what templates do not take. */
export const writtenPaths = [
  "/info/../admin",
  "/./admin",
  "/%61dmin",
  "/admin%2Fusers",
  "//admin",
  "/admin?x=/info",
  "/info?y=/admin/users",
  "/foo\\bar",
  "/foo/a=b",
  "/foo/a*b",
  "/foo/a[b",
  "/foo/a%2Fb",
  "/Admin",
  "/foo/.",
  "/foo/bar/..",
  "/foo/bar;x",
] as const;
export const templates = [
  "/foo/{*}",
  "/foo/{**}",
  "/foo/{**}/",
  "/{*}/users",
  "/foo/{*}/{**}",
  "/{**}",
  "/{*}",
  "/foo/{*}/baz.txt",
] as const;

export const headerNames = ["x-role", "x-team"] as const;
export const headerValues = ["admin", "user", "admin,user", "Admin", "administrator", ""] as const;

export const issuers = ["https://issuer.example.com", "issuer-b", "https://issuer.example.com.evil.org"] as const;
export const subjects = ["alice", "bob", "alice-admin"] as const;
export const audiences = ["shop", "shop-api", "other"] as const;
export const claimPaths = [
  ["role"],
  ["roles"],
  ["realm", "roles"],
  ["realm", "role"],
  ["scope"],
  ["iss"],
  ["level"],
] as const;
export const claimValues = ["admin", "user", "administrator", "read", "write", "read write"] as const;

export const sourceAddresses = ["127.0.0.1", "127.0.0.2", "127.0.1.255", "127.0.2.0", "127.1.2.3", "::1"] as const;
export const sourceBlocks = [
  "127.0.0.2",
  "127.0.0.2/31",
  "127.0.0.0/23",
  "127.0.0.77/24",
  "127.0.2.0/24",
  "0.0.0.0/0",
  "::/0",
  "::1",
  "::/127",
  "::2/127",
] as const;
export const remoteAddresses = [
  "203.0.113.4",
  "203.0.113.255",
  "203.0.114.0",
  "198.51.100.7",
  "2001:db8::1",
  "2001:db9::",
] as const;
export const remoteBlocks = [
  "203.0.113.4",
  "203.0.113.0/24",
  "203.0.112.0/23",
  "203.0.113.128/25",
  "198.51.100.7/32",
  "2001:db8::/32",
  "2001:db8::1",
  "127.0.0.0/8",
  "0.0.0.0/0",
  "::/0",
] as const;
export const destinationBlocks = [
  "10.1.0.7",
  "10.1.0.0/29",
  "10.1.0.8/29",
  "10.0.0.0/8",
  "fd00::7",
  "fd00::/64",
  "::/0",
] as const;
export const serverNames = [
  "shop.example.com",
  "Shop.Example.com",
  "outbound_.80_._.server.shop.svc.cluster.local",
] as const;

export const pick = <Value>(values: readonly Value[]): fc.Arbitrary<Value> => fc.constantFrom(...values);

const changedCase = (text: string): string => (text === text.toLowerCase() ? text.toUpperCase() : text.toLowerCase());

/** A value of the pool in one of the syntaxes that values have, or a near miss. */
export const pattern = (pool: readonly string[]): fc.Arbitrary<string> =>
  fc
    .record({
      text: pick(pool.filter((text) => text !== "")),
      cut: fc.nat({ max: 100 }),
      form: fc.constantFrom(
        ...[
          "exact",
          "exact",
          "exact",
          "exact",
          "exact",
          "prefix",
          "prefix",
          "prefix",
          "suffix",
          "suffix",
          "suffix",
          "any",
          "case",
          "longer",
        ],
      ),
    })
    .map(({ text, cut, form }) => {
      const middle = Math.max(1, Math.floor((text.length * cut) / 100));
      switch (form) {
        case "prefix":
          return `${text.slice(0, middle)}*`;
        case "suffix":
          return `*${text.slice(-middle)}`;
        case "any":
          return "*";
        case "case":
          return changedCase(text);
        case "longer":
          return `${text}x`;
        default:
          return text;
      }
    });
