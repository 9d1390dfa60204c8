import { test } from "uvu";
import * as assert from "uvu/assert";
import { type RedirectInput, renderRedirect, renderRuleset } from "../../../src/injection/redirect.js";

const input: RedirectInput = {
  mode: "REDIRECT",
  proxyUserId: 1337,
  proxyGroupId: 1337,
  includeInboundPorts: ["*"],
  excludeInboundPorts: [],
  includeOutboundPorts: [],
  excludeOutboundPorts: [],
  includeOutboundIpRanges: ["*"],
  excludeOutboundIpRanges: [],
  excludeInterfaces: [],
};

const linesOf = (changes: Partial<RedirectInput> = {}): readonly string[] =>
  renderRuleset({ ...input, ...changes })
    .split("\n")
    .map((line) => line.trim());

const before = (lines: readonly string[], first: RegExp, second: RegExp): void => {
  const [a, b] = [first, second].map((pattern) => lines.findIndex((line) => pattern.test(line)));
  assert.ok(a! >= 0 && b! >= 0, `${first} and ${second} are there`);
  assert.ok(a! < b!, `${first} comes before ${second}`);
};

test("the table is replaced whole", () => {
  assert.equal(linesOf().slice(0, 3), ["add table inet heddle", "delete table inet heddle", "table inet heddle {"]);
});

test("outbound, exclusions and the proxy's own traffic come before the redirect", () => {
  const lines = linesOf({ excludeOutboundPorts: [3306], excludeOutboundIpRanges: ["10.0.0.0/8", "fd00::/8"] });
  const redirect = /redirect to :15001/;
  for (const rule of [
    /tcp dport \{ 3306 \} return/,
    /skuid 1337 return/,
    /ip daddr \{ 10\.0\.0\.0\/8 \} return/,
    /ip6 daddr \{ fd00::\/8 \} return/,
  ])
    before(lines, rule, redirect);
  before(lines, /ip saddr 127\.0\.0\.6 return/, /skuid 1337 .*redirect to :15006/);
});

test("inbound, the proxy's own ports are never redirected", () => {
  before(
    linesOf({ excludeInboundPorts: [22] }),
    /tcp dport \{ 15020, 15021, 15090, 22 \} return/,
    /redirect to :15006/,
  );
});

test("no included inbound port, no inbound rule", () => {
  assert.not.ok(
    linesOf({ includeInboundPorts: [] }).some(
      (line) => /^(meta|tcp) .*redirect to :15006/.test(line) && !/skuid|skgid/.test(line),
    ),
  );
});

test("included ranges alone are redirected, by family", () => {
  const lines = linesOf({ includeOutboundIpRanges: ["10.0.0.0/8", "fd00::/8"] });
  assert.ok(lines.some((line) => /ip daddr \{ 10\.0\.0\.0\/8 \} .*redirect to :15001/.test(line)));
  assert.ok(lines.some((line) => /ip6 daddr \{ fd00::\/8 \} .*redirect to :15001/.test(line)));
  assert.not.ok(lines.includes("meta l4proto tcp redirect to :15001;"));
});

test("TPROXY lets the proxy speak to the application as the caller, and brings the answers back", () => {
  const lines = linesOf({ mode: "TPROXY" });
  before(lines, /^meta mark 0x539 return/, /skgid 1337 .*redirect to :15006/);
  assert.ok(lines.includes("meta mark 0x539 ct original zone set 1;"));
  assert.ok(lines.includes("ct direction reply ct mark 0x539 meta mark set 0x539 return;"));
  assert.not.ok(linesOf().some((line) => line.includes("0x539")));
});

test("the init container runs nft on one argument", () => {
  const { command, args } = renderRedirect(input);
  assert.equal(command, ["/usr/sbin/nft"]);
  assert.is(args.length, 1);
});

test.run();
