import { generateKeyPairSync, sign, verify } from "node:crypto";
import type { TokenReviewStatus } from "../../../src/identity/token.js";

export interface TokenClaims {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: string;
  readonly uid: string;
  readonly audience?: string;
  /** Negative for a token that has expired. */
  readonly lifetimeSeconds?: number;
}

/** Service-account tokens as a cluster issues and reviews them: signed JWTs, judged by signature, expiry and audience. */
export const createTokenIssuer = () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return {
    issue: ({
      namespace,
      serviceAccount,
      pod,
      uid,
      audience = "istio-ca",
      lifetimeSeconds = 3600,
    }: TokenClaims): string => {
      const claims = {
        aud: [audience],
        exp: Math.floor(Date.now() / 1000) + lifetimeSeconds,
        sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
        "kubernetes.io": { namespace, pod: { name: pod, uid }, serviceaccount: { name: serviceAccount } },
      };
      const signed = `${encode({ alg: "ES256" })}.${encode(claims)}`;
      const signature = sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
      return `${signed}.${signature.toString("base64url")}`;
    },
    review: async (token: string, audiences: readonly string[]): Promise<TokenReviewStatus> => {
      const refused = (error: string): TokenReviewStatus => ({ authenticated: false, error: `[${error}: ${token}]` });
      const [header = "", payload = "", signature = ""] = token.split(".");
      const signed = Buffer.from(`${header}.${payload}`);
      const key = { key: publicKey, dsaEncoding: "ieee-p1363" } as const;
      if (!verify("sha256", signed, key, Buffer.from(signature, "base64url"))) return refused("invalid bearer token");
      const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as {
        readonly aud: readonly string[];
        readonly exp: number;
        readonly sub: string;
        readonly "kubernetes.io": { readonly pod: { readonly name: string; readonly uid: string } };
      };
      if (claims.exp * 1000 <= Date.now()) return refused("service account token has expired");
      const agreed = claims.aud.filter((audience) => audiences.includes(audience));
      if (agreed.length === 0)
        return refused(`token audiences ${claims.aud.join()} is invalid for ${audiences.join()}`);
      return {
        authenticated: true,
        audiences: agreed,
        user: {
          username: claims.sub,
          extra: {
            "authentication.kubernetes.io/pod-name": [claims["kubernetes.io"].pod.name],
            "authentication.kubernetes.io/pod-uid": [claims["kubernetes.io"].pod.uid],
          },
        },
      };
    },
  };
};
