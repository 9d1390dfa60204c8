/** What a label of a metric is set to, of the expressions that the proxy's metrics can hold. */
export type TagValue =
  | { readonly literal: string }
  | { readonly requestHeader: string }
  | { readonly responseHeader: string }
  | { readonly attribute: Attribute };

/** Attributes of Envoy's expressions that a label may be. */
export const attributes = [
  "request.host",
  "request.method",
  "request.protocol",
  "request.scheme",
  "request.useragent",
  "response.code",
  "source.port",
  "destination.port",
  "connection.requested_server_name",
] as const;

export type Attribute = (typeof attributes)[number];

const quoted = /^(?:'([^'\\]*)'|"([^"\\]*)")$/;
const header = /^(request|response)\.headers\[(?:'([^'\\]+)'|"([^"\\]+)")\]$/;

const isAttribute = (text: string): text is Attribute => (attributes as readonly string[]).includes(text);

/** Of an expression in the Common Expression Language; undefined for one that metrics cannot hold. */
export const tagValueOf = (expression: string): TagValue | undefined => {
  const text = expression.trim();
  const literal = quoted.exec(text);
  if (literal !== null) return { literal: literal[1] ?? literal[2] ?? "" };
  const named = header.exec(text);
  if (named !== null) {
    const name = (named[2] ?? named[3] ?? "").toLowerCase();
    if (!/^:?[a-z0-9!#$&'*+.^_`|~-]+$/.test(name)) return undefined;
    return named[1] === "request" ? { requestHeader: name } : { responseHeader: name };
  }
  return isAttribute(text) ? { attribute: text } : undefined;
};
