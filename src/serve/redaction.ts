const longest = 600;
/** More than this is not looked at: a message is as long as the proxy likes, and the patterns below cost its square. */
const longestRead = 8192;

/** A word that the cut goes through could be part of a secret that its pattern no longer knows. */
const read = (message: string): string =>
  message.length > longestRead ? message.slice(0, longestRead).replace(/\S{0,256}$/, "...") : message;

/**
 * A proxy's own words about what it rejected, fit for logs and Events: it can quote fields of what it was sent, and so
 * keys, passwords and tokens.
 */
export const redacted = (message: string): string => {
  const text = read(message)
    .replace(/-----BEGIN [\s\S]*?(-----END [^-]*-----|$)/g, "[PEM left out]")
    .replace(
      /\b(inline_string|inline_bytes|private_key|password|hmac_secret|token_secret|client_secret)"?:\s*"(\\.|[^"\\])*"?/g,
      "$1: [left out]",
    )
    .replace(/\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g, "[token left out]")
    .replace(/[A-Za-z0-9+/]{64,}={0,2}/g, "[base64 left out]");
  return text.length > longest ? `${text.slice(0, longest - 3)}...` : text;
};
