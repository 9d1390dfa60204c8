import { test } from "uvu";
import * as assert from "uvu/assert";
import { definitionOf } from "../../../../src/api/kinds.js";
import { validateObject } from "../../../../src/api/validate.js";

const findingsOf = (spec: object, annotations?: object): readonly string[] =>
  validateObject(definitionOf("AuthorizationPolicy"), {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "p", namespace: "shop", ...(annotations && { annotations }) },
    spec,
  }).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);

const from = (source: object) => ({ rules: [{ from: [{ source }] }] });
const to = (operation: object) => ({ rules: [{ to: [{ operation }] }] });
const when = (condition: object) => ({ rules: [{ when: [condition] }] });

test("policies as Istio's documents have them are fine", () => {
  const good: readonly object[] = [
    {},
    { rules: [{}] },
    { selector: { matchLabels: { app: "httpbin" } }, action: "ALLOW" },
    {
      action: "ALLOW",
      rules: [
        {
          from: [
            { source: { principals: ["cluster.local/ns/default/sa/curl"] } },
            { source: { namespaces: ["test"] } },
          ],
          to: [{ operation: { methods: ["GET"], paths: ["/info*"] } }],
          when: [{ key: "request.auth.claims[iss]", values: ["https://accounts.google.com"] }],
        },
      ],
    },
    {
      action: "CUSTOM",
      provider: { name: "p" },
      rules: [{ to: [{ operation: { paths: ["/admin/*"], ports: ["80"] } }] }],
    },
    to({ paths: ["/foo/{*}", "/foo/{**}", "/{*}/baz/{**}", "/{**}/end", "*"], hosts: ["a.example:*", "*.example"] }),
    from({ ipBlocks: ["203.0.113.4", "10.0.0.0/8", "2001:db8::/32"], notRemoteIpBlocks: ["::1"] }),
    from({ serviceAccounts: ["web", "shop/web"], trustDomains: ["td*"] }),
    from({ requestPrincipals: ["https://issuer.example/*", "*"] }),
    when({ key: "request.headers[User-Agent]", values: ["Mozilla/*"], notValues: ["x"] }),
    when({ key: "experimental.envoy.filters.network.mysql_proxy[db.table]", values: ["[update]"] }),
    when({ key: "request.auth.claims[a][b]", values: ["c"] }),
  ];
  for (const spec of good) assert.equal(findingsOf(spec), [], JSON.stringify(spec));
});

test("every fault is told with its field and its cure", () => {
  const bad: readonly (readonly [spec: object, finding: RegExp])[] = [
    [{ rules: [{ from: [] }] }, /^error spec\.rules\[0\]\.from: is empty; remove it/],
    [{ rules: [{ to: [{}] }] }, /^error spec\.rules\[0\]\.to\[0\]\.operation: is empty; remove it/],
    [from({}), /^error spec\.rules\[0\]\.from\[0\]\.source: is empty/],
    [from({ principals: [] }), /^error spec\.rules\[0\]\.from\[0\]\.source\.principals: .*give at least 1 item/],
    [from({ principals: [""] }), /principals\[0\]: is empty and matches nothing/],
    [from({ principals: ["spiffe://a/ns/b/sa/c"] }), /^error .*principals\[0\]: .*leave out "spiffe:\/\/"/],
    [from({ principals: ["admin"] }), /^warning .*"admin" is no identity of the mesh/],
    [from({ namespaces: ["a*b"] }), /^warning .*namespaces\[0\]: .*no wildcards/],
    [from({ namespaces: ["a", "a"] }), /^warning .*namespaces\[1\]: "a" is there twice/],
    [from({ requestPrincipals: ["alice"] }), /^warning .*is no ISSUER\/SUBJECT/],
    [from({ serviceAccounts: ["shop/*"] }), /^error .*there are no wildcards here/],
    [from({ serviceAccounts: ["a/b/c"] }), /^error .*is no service account/],
    [from({ serviceAccounts: ["a"], namespaces: ["b"] }), /^error .*serviceAccounts: goes without namespaces/],
    [from({ ipBlocks: ["10.0.0.0/33"] }), /^error .*ipBlocks\[0\]: "10\.0\.0\.0\/33" is neither an IP address/],
    [from({ notRemoteIpBlocks: ["a.b"] }), /^error .*notRemoteIpBlocks\[0\]/],
    [to({ ports: ["http"] }), /^error .*ports\[0\]: "http" is no port number/],
    [to({ ports: ["65536"] }), /^error .*ports\[0\]: 65536 is no port number/],
    [to({ methods: ["get"] }), /^warning .*methods are in upper case: GET/],
    [to({ hosts: ["a.example"] }), /^warning .*misses requests that name a port.*add "a\.example:\*"/],
    [to({ paths: ["api"] }), /^warning .*never matches, since paths begin with "\/"/],
    [to({ paths: ["/a?b"] }), /^warning .*compared without "\?" and "#"/],
    [to({ paths: ["/{*}/a*"] }), /^error .*mixes "\*" with \{\*\}/],
    [to({ paths: ["/a{*}"] }), /^error .*whole segments/],
    [to({ paths: ["/{**}/{*}"] }), /^error .*\{\*\*\} is the last of the wildcards/],
    [to({ paths: ["{*}"] }), /^error .*does not begin with "\/"/],
    [to({ paths: ["/{*}/{id}"] }), /^error .*braces other than/],
    [to({ path: ["/a"] }), /^warning .*unknown field, which is not used: did you mean "paths"\?/],
    [when({ key: "source.principle", values: ["a"] }), /^error .*when\[0\]\.key: .*did you mean "source\.principal"\?/],
    [
      when({ key: "request.headers", values: ["a"] }),
      /^error .*"request\.headers" is no attribute; known are: .*request\.headers\[NAME\]/,
    ],
    [when({ key: "request.headers[a b]", values: ["a"] }), /^error .*is no attribute/],
    [when({ key: "source.ip" }), /^error spec\.rules\[0\]\.when\[0\]: has neither values nor notValues/],
    [when({ key: "source.ip", values: ["x"] }), /^error .*when\[0\]\.values\[0\]: "x" is neither/],
    [when({ key: "destination.port", notValues: ["0"] }), /^error .*when\[0\]\.notValues\[0\]: "0" is no port/],
    [{ action: "CUSTOM", rules: [{}] }, /^error spec\.provider: is missing/],
    [{ provider: { name: "p" }, rules: [{}] }, /^error spec\.provider: .*goes with the action CUSTOM alone/],
    [{ action: "deny" }, /^error spec\.action: "deny" is none of the values/],
    [{ action: "DENY" }, /^warning spec\.rules: are none, so this DENY policy never matches/],
    [{ action: "DENY", ...to({ methods: ["GET"] }) }, /^warning spec\.rules\[0\]: names only what HTTP has/],
    [
      { targetRef: { kind: "Gateway", name: "g" } },
      /^warning spec\.targetRef: .*does nothing to workloads with sidecars/,
    ],
    [
      { targetRefs: [{ kind: "Gateway", name: "g" }], selector: { matchLabels: { a: "b" } } },
      /^error spec\.targetRefs: one of selector, targetRef and targetRefs/,
    ],
    [{ selector: {} }, /^warning spec\.selector: \{\} selects every workload/],
  ];
  for (const [spec, finding] of bad) {
    const found = findingsOf(spec);
    assert.ok(
      found.some((text) => finding.test(text)),
      `${JSON.stringify(spec)}: ${JSON.stringify(found)}`,
    );
  }
});

test("a rule that leaves something for TCP connections is not warned of", () => {
  const ports = { methods: ["GET"], ports: ["80"] };
  assert.equal(findingsOf({ action: "DENY", ...to(ports) }), []);
  assert.equal(
    findingsOf({ action: "DENY", rules: [{ from: [{ source: { namespaces: ["a"] } }], ...to(ports).rules[0] }] }),
    [],
  );
  assert.equal(findingsOf({ action: "AUDIT", ...to({ methods: ["GET"] }) }), []);
});

test("the annotation of a dry run is true or false, and tells of ALLOW and DENY alone", () => {
  const dryRun = (value: string) => ({ "istio.io/dry-run": value });
  assert.equal(findingsOf({ action: "DENY", rules: [{}] }, dryRun("true")), []);
  assert.match(
    findingsOf({ rules: [{}] }, dryRun("yes"))[0]!,
    /^error metadata\.annotations.*neither "true" nor "false"/,
  );
  assert.match(
    findingsOf({ action: "AUDIT", rules: [{}] }, dryRun("true"))[0]!,
    /a dry run tells of ALLOW and DENY alone/,
  );
});

test.run();
