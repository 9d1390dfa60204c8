import { createRateLimit, type RateLimitOptions } from "../limits/rate-limit.js";
import { TokenRefusal, type VerifiedPod } from "./token.js";

/** Enough for all pods of a node that is hidden behind one address and starts anew. */
const defaultLimit: RateLimitOptions = { burst: 128, perSecond: 1 };

/**
 * Keeps who shows bad tokens from having the API server review them without end: each refused token costs its source
 * address one try. Rejects with TokenRefusal when there is none left; tokens that are accepted cost nothing.
 */
export const limitRefusals = (
  authenticate: (token: string) => Promise<VerifiedPod>,
  limit = defaultLimit,
): ((token: string, address: string) => Promise<VerifiedPod>) => {
  const tries = createRateLimit(limit);
  return async (token, address) => {
    if (!tries.take(address))
      throw new TokenRefusal("too many tokens from this address were refused; correct them and wait a minute");
    try {
      const pod = await authenticate(token);
      tries.giveBack(address);
      return pod;
    } catch (error) {
      if (!(error instanceof TokenRefusal)) tries.giveBack(address);
      throw error;
    }
  };
};
