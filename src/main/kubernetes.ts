import {
  AdmissionregistrationV1Api,
  ApiException,
  AuthenticationV1Api,
  CoreV1Api,
  type KubeConfig,
  PatchStrategy,
  setHeaderOptions,
} from "@kubernetes/client-node";
import type { SecretStore } from "../identity/authority.js";
import type { TokenReviewStatus } from "../identity/token.js";

/** What the control plane asks of the API server, besides watching it. */
export interface KubernetesAdapters {
  readonly secrets: SecretStore;
  readonly reviewToken: (token: string, audiences: readonly string[]) => Promise<TokenReviewStatus>;
  /** Puts the bundle into every webhook of the configuration where it is not; false if there is no such configuration. */
  readonly keepCaBundle: (kind: "Mutating" | "Validating", configuration: string, rootsPem: string) => Promise<boolean>;
  /** Puts the trust bundle into the namespace's ConfigMap `istio-ca-root-cert` where it is not. */
  readonly keepRootCertificate: (namespace: string, rootsPem: string) => Promise<void>;
}

const hasCode = (error: unknown, code: number): boolean => error instanceof ApiException && error.code === code;

/** An error of the client holds the whole answer and the request's headers; only this much of it is fit for logs. */
const told = (error: unknown, what: string): Error =>
  new Error(
    error instanceof ApiException
      ? `${what}: the API server answered ${error.code}`
      : `${what}: ${(error as Error).message}`,
  );

const rootConfigMap = "istio-ca-root-cert";
const rootKey = "root-cert.pem";

export const createKubernetesAdapters = (kubeConfig: KubeConfig, namespace: string): KubernetesAdapters => {
  const core = kubeConfig.makeApiClient(CoreV1Api);
  const authentication = kubeConfig.makeApiClient(AuthenticationV1Api);
  const admission = kubeConfig.makeApiClient(AdmissionregistrationV1Api);

  const secrets: SecretStore = {
    read: async (name) => {
      try {
        const { data } = await core.readNamespacedSecret({ name, namespace });
        return Object.fromEntries(
          Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
        );
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
    keepCaBundle: async (kind, name, rootsPem) => {
      const caBundle = Buffer.from(rootsPem).toString("base64");
      try {
        const { webhooks = [] } = await (kind === "Mutating"
          ? admission.readMutatingWebhookConfiguration({ name })
          : admission.readValidatingWebhookConfiguration({ name }));
        const patch = webhooks.flatMap(({ clientConfig }, index) =>
          clientConfig.caBundle === caBundle
            ? []
            : [
                // A patch by index is only right for the webhook that was read there.
                { op: "test", path: `/webhooks/${index}/name`, value: webhooks[index]!.name },
                { op: "add", path: `/webhooks/${index}/clientConfig/caBundle`, value: caBundle },
              ],
        );
        const asPatch = setHeaderOptions("Content-Type", PatchStrategy.JsonPatch);
        if (patch.length > 0)
          await (kind === "Mutating"
            ? admission.patchMutatingWebhookConfiguration({ name, body: patch }, asPatch)
            : admission.patchValidatingWebhookConfiguration({ name, body: patch }, asPatch));
        return true;
      } catch (error) {
        if (hasCode(error, 404)) return false;
        throw told(error, `cannot patch ${kind}WebhookConfiguration ${name}`);
      }
    },
    keepRootCertificate: async (target, rootsPem) => {
      const body = {
        metadata: { name: rootConfigMap, namespace: target, labels: { "istio.io/config": "true" } },
        data: { [rootKey]: rootsPem },
      };
      try {
        const current = await core.readNamespacedConfigMap({ name: rootConfigMap, namespace: target });
        if (current.data?.[rootKey] === rootsPem) return;
        await core.replaceNamespacedConfigMap({ name: rootConfigMap, namespace: target, body });
      } catch (error) {
        if (!hasCode(error, 404)) throw told(error, `cannot keep ConfigMap ${target}/${rootConfigMap}`);
        await core.createNamespacedConfigMap({ namespace: target, body }).catch((failure: unknown) => {
          // Another replica was first, or the namespace is going away.
          if (!hasCode(failure, 409) && !hasCode(failure, 403) && !hasCode(failure, 404))
            throw told(failure, `cannot create ConfigMap ${target}/${rootConfigMap}`);
        });
      }
    },
  };
};
