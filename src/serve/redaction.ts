const longest = 600;

/**
 * A proxy's own words about what it rejected, fit for logs and Events: it can quote fields of what it was sent, and so
 * keys, passwords and tokens.
 */
export const redacted = (message: string): string => {
  const text = message
    .replace(/-----BEGIN [\s\S]*?(-----END [^-]*-----|$)/g, "[PEM left out]")
    .replace(
      /\b(inline_string|inline_bytes|private_key|password|hmac_secret|token_secret|client_secret)"?:\s*"(\\.|[^"\\])*"?/g,
      "$1: [left out]",
    )
    .replace(/\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g, "[token left out]")
    .replace(/[A-Za-z0-9+/]{64,}={0,2}/g, "[base64 left out]");
  return text.length > longest ? `${text.slice(0, longest - 3)}...` : text;
};
