import { ApiException, AuthenticationV1Api, CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import type { SecretStore } from "../identity/authority.js";
import type { SecretData } from "../identity/authority-secret.js";
import type { TokenReviewStatus } from "../identity/token.js";

/** What the control plane asks of the API server, besides watching it. */
export interface KubernetesAdapters {
  readonly secrets: SecretStore;
  readonly reviewToken: (token: string, audiences: readonly string[]) => Promise<TokenReviewStatus>;
}

const hasCode = (error: unknown, code: number): boolean => error instanceof ApiException && error.code === code;

/** An error of the client holds the whole answer and the request's headers; only this much of it is fit for logs. */
const told = (error: unknown, what: string): Error =>
  new Error(
    error instanceof ApiException
      ? `${what}: the API server answered ${error.code}`
      : `${what}: ${(error as Error).message}`,
  );

/** A Secret's values as texts. */
export const decodeSecret = (data: Readonly<Record<string, string>> | undefined): SecretData =>
  Object.fromEntries(
    Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
  );

/** Another replica that writes at the same time has won after a few. */
const updateAttempts = 5;

export const createKubernetesAdapters = (kubeConfig: KubeConfig, namespace: string): KubernetesAdapters => {
  const core = kubeConfig.makeApiClient(CoreV1Api);
  const authentication = kubeConfig.makeApiClient(AuthenticationV1Api);

  const secrets: SecretStore = {
    read: async (name) => {
      try {
        const { data } = await core.readNamespacedSecret({ name, namespace });
        return decodeSecret(data);
      } catch (error) {
        if (hasCode(error, 404)) return undefined;
        throw told(error, `cannot read Secret ${namespace}/${name}`);
      }
    },
    create: async (name, data) => {
      try {
        await core.createNamespacedSecret({
          namespace,
          body: { metadata: { name, namespace }, type: "istio.io/ca-root", stringData: { ...data } },
        });
        return "created";
      } catch (error) {
        if (hasCode(error, 409)) return "exists";
        throw told(error, `cannot create Secret ${namespace}/${name}`);
      }
    },
    update: async (name, change) => {
      for (let attempt = 1; ; attempt++)
        try {
          const current = await core.readNamespacedSecret({ name, namespace }).catch((error: unknown) => {
            if (hasCode(error, 404)) return undefined;
            throw error;
          });
          const next = change(current && decodeSecret(current.data));
          if (next === undefined) return;
          const stringData = { ...next };
          if (current === undefined)
            await core.createNamespacedSecret({ namespace, body: { metadata: { name, namespace }, stringData } });
          else {
            // The API server lets nobody change a Secret's type, and leaving it out is a change.
            const { metadata, type } = current;
            const body = { metadata: metadata!, stringData, ...(type === undefined ? {} : { type }) };
            await core.replaceNamespacedSecret({ name, namespace, body });
          }
          return;
        } catch (error) {
          if (!hasCode(error, 409) || attempt === updateAttempts)
            throw told(error, `cannot update Secret ${namespace}/${name}`);
        }
    },
  };

  return {
    secrets,
    reviewToken: async (token, audiences) => {
      try {
        const review = await authentication.createTokenReview({ body: { spec: { token, audiences: [...audiences] } } });
        return (review.status ?? {}) as TokenReviewStatus;
      } catch (error) {
        throw told(error, "cannot review the token");
      }
    },
  };
};
