import { isIP } from "node:net";

/**
 * Parsers of annotation values. Each takes the text, gives the typed value, and throws an Error whose message says
 * what is wrong with the text ("… is not a port"); the caller adds the annotation's name and cure.
 */
export type Parser<Value> = (text: string) => Value;

/** "*" stands for everything. */
export type Everything<Item> = "*" | readonly Item[];

const fail = (message: string): never => {
  throw new Error(message);
};

const truths: ReadonlyMap<string, boolean> = new Map([
  ...["true", "t", "1", "y", "yes", "on"].map((word) => [word, true] as const),
  ...["false", "f", "0", "n", "no", "off"].map((word) => [word, false] as const),
]);

export const boolean: Parser<boolean> = (text) =>
  truths.get(text.trim().toLowerCase()) ?? fail(`"${text}" is neither true nor false`);

export const oneOf =
  <const Word extends string>(...words: readonly Word[]): Parser<Word> =>
  (text) =>
    words.find((word) => word === text) ?? fail(`"${text}" is not one of ${words.join(", ")}`);

export const integer =
  (minimum: number, maximum: number): Parser<number> =>
  (text) => {
    const value = Number(text);
    return /^\d{1,10}$/.test(text) && value >= minimum && value <= maximum
      ? value
      : fail(`"${text}" is not a whole number from ${minimum} to ${maximum}`);
  };

/** A comma-separated list; blanks around items and an empty text (no items) are allowed, empty items are not. */
const listOf =
  <Item>(item: Parser<Item>): Parser<readonly Item[]> =>
  (text) =>
    text.trim() === "" ? [] : [...new Set(text.split(",").map((part) => item(part.trim())))];

const everythingOr =
  <Item>(list: Parser<readonly Item[]>): Parser<Everything<Item>> =>
  (text) =>
    text.trim() === "*" ? "*" : list(text);

const port: Parser<number> = (text) =>
  /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535
    ? Number(text)
    : fail(`"${text}" is not a port number (1 to 65535)`);

const cidr: Parser<string> = (text) => {
  const [address = "", length, ...rest] = text.split("/");
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  return family !== 0 &&
    !address.includes("%") &&
    rest.length === 0 &&
    length !== undefined &&
    /^\d{1,3}$/.test(length) &&
    Number(length) <= bits
    ? text
    : fail(`"${text}" is not an IP range in CIDR form`);
};

const networkInterface: Parser<string> = (text) =>
  /^[A-Za-z0-9_.:@-]{1,15}$/.test(text) ? text : fail(`"${text}" is not the name of a network interface`);

export const ports = listOf(port);
export const portsOrAll = everythingOr(ports);
export const ranges = listOf(cidr);
export const rangesOrAll = everythingOr(ranges);
export const interfaces = listOf(networkInterface);

const words: Parser<readonly string[]> = listOf((text) => (text === "" ? fail("there is an empty item") : text));
export const names = words;

export const patterns: Parser<readonly string[]> = listOf((text) => {
  try {
    // Envoy speaks RE2, whose leading flags JavaScript does not know.
    new RegExp(text.replace(/^\(\?[imsU]+\)/, ""));
  } catch {
    fail(`"${text}" is not a regular expression`);
  }
  return text === "" ? fail("there is an empty item") : text;
});

const suffixes: ReadonlyMap<string, number> = new Map([
  ["n", 1e-9],
  ["u", 1e-6],
  ["m", 1e-3],
  ["", 1],
  ["k", 1e3],
  ["M", 1e6],
  ["G", 1e9],
  ["T", 1e12],
  ["P", 1e15],
  ["E", 1e18],
  ["Ki", 2 ** 10],
  ["Mi", 2 ** 20],
  ["Gi", 2 ** 30],
  ["Ti", 2 ** 40],
  ["Pi", 2 ** 50],
  ["Ei", 2 ** 60],
]);

/** The amount a Kubernetes quantity stands for (cores, bytes); undefined if the text is none or is negative. */
export const amountOf = (quantity: string): number | undefined => {
  const [, number, exponent, suffix = ""] =
    /^\+?(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)$/.exec(quantity) ?? [];
  if (number === undefined) return undefined;
  return exponent === undefined ? Number(number) * suffixes.get(suffix)! : Number(number) * 10 ** Number(exponent);
};

/** A Kubernetes quantity, kept as the user wrote it. */
export const quantity: Parser<string> = (text) =>
  amountOf(text) === undefined ? fail(`"${text}" is not a Kubernetes quantity`) : text;

export const image: Parser<string> = (text) =>
  text.length <= 1024 && /^[a-zA-Z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?$/.test(text) && !/\/\/|::|[/:]$/.test(text)
    ? text
    : fail(`"${text}" is not an image reference`);

const levels = ["trace", "debug", "info", "warning", "warn", "error", "critical", "off"] as const;
export const logLevel = oneOf(...levels);

/** Envoy's own form, `component:level,…`. */
export const componentLogLevel: Parser<string> = (text) => {
  for (const part of text.split(",")) {
    const [component = "", level = "", ...rest] = part.split(":");
    if (!/^[a-z0-9_]+$/.test(component) || rest.length > 0) fail(`"${part}" is not of the form component:level`);
    logLevel(level);
  }
  return text;
};

/** JSON: an array of objects with `name`, or an object from name to the rest, as Istio accepts both. */
export const namedObjects: Parser<readonly NamedObject[]> = (text) => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    fail("it is not JSON");
  }
  const isObject = (item: unknown): item is Record<string, unknown> =>
    typeof item === "object" && item !== null && !Array.isArray(item);
  const items = Array.isArray(value)
    ? value
    : isObject(value)
      ? Object.entries(value).map(([name, rest]) => (isObject(rest) ? { ...rest, name } : rest))
      : fail("it is neither a JSON array nor a JSON object");
  return items.map((item, index) =>
    isObject(item) && typeof item["name"] === "string" && item["name"] !== ""
      ? { ...item, name: item["name"] }
      : fail(`item ${index} is not an object with a name`),
  );
};

export interface NamedObject {
  readonly name: string;
  readonly [field: string]: unknown;
}

export const volumeMounts: Parser<readonly NamedObject[]> = (text) =>
  namedObjects(text).map((mount) =>
    typeof mount["mountPath"] === "string" && mount["mountPath"].startsWith("/")
      ? mount
      : fail(`volume mount "${mount.name}" has no absolute mountPath`),
  );
