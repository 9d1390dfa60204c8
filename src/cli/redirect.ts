import type { Command } from "commander";
import { type AnnotationRule, type AnnotationSettings, annotations, readAnnotation } from "../injection/annotations.js";
import { renderRuleset } from "../injection/redirect.js";

/** The annotations that shape the redirect; each is an option of its own name here, read by the annotation's rule. */
const keys = [
  "interceptionMode",
  "includeInboundPorts",
  "excludeInboundPorts",
  "includeOutboundPorts",
  "excludeOutboundPorts",
  "includeOutboundIPRanges",
  "excludeOutboundIPRanges",
  "excludeInterfaces",
] as const;

type Key = (typeof keys)[number];
const optionOf = (key: Key): string =>
  key.replace(/IPR/, "IpR").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const listOf = (
  value: "*" | readonly (string | number)[] | undefined,
  fallback: readonly string[],
): readonly string[] => (value === undefined ? fallback : value === "*" ? ["*"] : value.map(String));

const id = (option: string, text: string): number => {
  if (!/^\d{1,10}$/.test(text) || Number(text) > 4294967294)
    throw new Error(`--${option} ${text}: give a numeric id, such as 1337`);
  return Number(text);
};

const redirect = (options: Readonly<Record<string, string | undefined>>): void => {
  const given = keys.flatMap((key) => {
    const text = options[key.replace("IPR", "IpR")];
    const rule: AnnotationRule<unknown> = annotations[key];
    return text === undefined ? [] : [[key, readAnnotation(rule, text, `--${optionOf(key)}, as annotation`)] as const];
  });
  const settings = Object.fromEntries(given) as AnnotationSettings;
  process.stdout.write(
    renderRuleset({
      mode: settings.interceptionMode === "TPROXY" ? "TPROXY" : "REDIRECT",
      proxyUserId: id("proxy-uid", options["proxyUid"] ?? ""),
      proxyGroupId: id("proxy-gid", options["proxyGid"] ?? ""),
      includeInboundPorts: listOf(settings.includeInboundPorts, ["*"]),
      excludeInboundPorts: settings.excludeInboundPorts ?? [],
      includeOutboundPorts: settings.includeOutboundPorts ?? [],
      excludeOutboundPorts: settings.excludeOutboundPorts ?? [],
      includeOutboundIpRanges: listOf(settings.includeOutboundIPRanges, ["*"]),
      excludeOutboundIpRanges: settings.excludeOutboundIPRanges ?? [],
      excludeInterfaces: settings.excludeInterfaces ?? [],
    }),
  );
};

export const registerRedirect = (program: Command): void => {
  const command = program
    .command("redirect")
    .description("print the nftables rules that a pod's init container would apply; nothing is applied")
    .option("--proxy-uid <id>", "user of the proxy", "1337")
    .option("--proxy-gid <id>", "group of the proxy", "1337");
  for (const key of keys) {
    const { description, default: fallback } = annotations[key];
    command.option(`--${optionOf(key)} <value>`, `${description} Default: ${fallback.replaceAll("`", "")}`);
  }
  command.action(redirect);
};
