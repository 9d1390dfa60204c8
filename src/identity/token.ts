import { createHash } from "node:crypto";

/** The `status` of authentication.k8s.io/v1 TokenReview, as far as it is read here. */
export interface TokenReviewStatus {
  readonly authenticated?: boolean;
  readonly audiences?: readonly string[];
  readonly error?: string;
  readonly user?: {
    readonly username?: string;
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

export interface VerifiedPod {
  readonly namespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly serviceAccount: string;
}

/** A token that was refused; the message says why and is fit for the client and for logs. */
export class TokenRefusal extends Error {
  override readonly name = "TokenRefusal";
}

const podName = "authentication.kubernetes.io/pod-name";
const podUid = "authentication.kubernetes.io/pod-uid";
const cacheMilliseconds = 60_000;
const cacheSize = 10_000;
const longestToken = 16_384;

/** Reads who the token names. The signature is the API server's to check; this only bounds how long to remember. */
const expiryOf = (token: string): number => {
  try {
    const payload: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    const exp = (payload as { exp?: unknown } | null)?.exp;
    return typeof exp === "number" ? exp * 1000 : 0;
  } catch {
    return 0;
  }
};

const podOf = (status: TokenReviewStatus, audience: string): VerifiedPod => {
  // The API server's own text can quote claims of the token; it stays out.
  if (status.authenticated !== true)
    throw new TokenRefusal(
      "the token is not valid: it has expired, was revoked, has another audience or is not of this cluster",
    );
  if (!status.audiences?.includes(audience)) throw new TokenRefusal(`the token is not for the audience ${audience}`);
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(status.user?.username ?? "");
  if (account === null) throw new TokenRefusal("the token is not a service account's");
  const name = status.user?.extra?.[podName]?.[0];
  const uid = status.user?.extra?.[podUid]?.[0];
  if (name === undefined || uid === undefined)
    throw new TokenRefusal("the token is not bound to a pod; mount it as a projected service-account token");
  return { namespace: account[1]!, serviceAccount: account[2]!, podName: name, podUid: uid };
};

/**
 * Verifies service-account tokens by TokenReview (`review`), for one audience. An accepted token is remembered for a
 * minute at most, by its SHA-256, never past its own expiry; one review serves all who ask for it at the same time.
 * Rejects with TokenRefusal, or with what `review` threw.
 */
export const createTokenAuthenticator = (
  review: (token: string, audiences: readonly string[]) => Promise<TokenReviewStatus>,
  audience: string,
): ((token: string) => Promise<VerifiedPod>) => {
  const known = new Map<string, { readonly pod: Promise<VerifiedPod>; readonly until: number }>();
  return (token) => {
    if (token === "") return Promise.reject(new TokenRefusal("there is no token; send authorization: Bearer"));
    if (token.length > longestToken) return Promise.reject(new TokenRefusal("the token is too long"));
    const key = createHash("sha256").update(token).digest("base64");
    const now = Date.now();
    const cached = known.get(key);
    if (cached !== undefined && cached.until > now) return cached.pod;
    const pod = review(token, [audience]).then((status) => podOf(status, audience));
    known.delete(key);
    known.set(key, { pod, until: Math.min(now + cacheMilliseconds, Math.max(expiryOf(token), now + 1)) });
    if (known.size > cacheSize) known.delete(known.keys().next().value!);
    pod.catch(() => {
      if (known.get(key)?.pod === pod) known.delete(key);
    });
    return pod;
  };
};
