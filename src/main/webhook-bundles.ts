import type { ApiClient } from "../watch/api-client.js";
import { ApiError } from "../watch/api-client.js";
import type { WatchedObject } from "../watch/list-watch.js";
import { watchNamed } from "../watch/named.js";
import { createKeeper } from "./keeper.js";

export interface WebhookBundlesOptions {
  readonly client: ApiClient;
  /** Names of the configurations; either may be absent from the cluster, and come later. */
  readonly mutating: string;
  readonly validating: string;
  readonly bundle: () => string;
  /** Told whenever the mutating configuration is seen to hold the bundle. */
  readonly bundled: () => void;
  readonly failed: (error: Error) => void;
}

export interface WebhookBundles {
  /** To be called when the bundle has changed. */
  readonly renew: () => void;
  /** Whether each webhook that is there has the bundle of now. */
  readonly isWritten: () => boolean;
  readonly stop: () => Promise<void>;
}

interface WebhookConfiguration extends WatchedObject {
  readonly webhooks?: readonly { readonly name: string; readonly clientConfig: { readonly caBundle?: string } }[];
}

const group = "/apis/admissionregistration.k8s.io/v1";

/** Keeps the CA bundle in every webhook of both configurations, whoever else writes there. */
export const keepWebhookBundles = (options: WebhookBundlesOptions): WebhookBundles => {
  const { client } = options;
  const targets = [
    { path: `${group}/mutatingwebhookconfigurations`, name: options.mutating },
    { path: `${group}/validatingwebhookconfigurations`, name: options.validating },
  ];
  const current = new Map<string, WebhookConfiguration>();
  const encoded = (): string => Buffer.from(options.bundle()).toString("base64");
  const isRight = ({ webhooks = [] }: WebhookConfiguration): boolean => {
    const caBundle = encoded();
    return webhooks.every(({ clientConfig }) => clientConfig.caBundle === caBundle);
  };

  const keeper = createKeeper({
    wrong: () => [...current].flatMap(([path, configuration]) => (isRight(configuration) ? [] : [path])),
    write: async (path) => {
      const caBundle = encoded();
      const patch = (current.get(path)?.webhooks ?? []).flatMap(({ name }, index) => [
        // A patch by index is only right for the webhook that was seen there.
        { op: "test", path: `/webhooks/${index}/name`, value: name },
        { op: "add", path: `/webhooks/${index}/clientConfig/caBundle`, value: caBundle },
      ]);
      try {
        const body = await client.call(path, {
          method: "PATCH",
          contentType: "application/json-patch+json",
          body: patch,
        });
        if (current.has(path)) current.set(path, body as WebhookConfiguration);
      } catch (error) {
        // It is gone; if it changed meanwhile, the watch says so too.
        if (!(error instanceof ApiError && error.status === 404)) throw error;
      }
    },
    failed: (error) => options.failed(new Error(`cannot keep a webhook's CA bundle: ${error.message}`)),
  });

  const watches = targets.map(({ path, name }) =>
    watchNamed<WebhookConfiguration>({
      client,
      path,
      name,
      changed: (configuration) => {
        if (configuration === undefined) current.delete(`${path}/${name}`);
        else current.set(`${path}/${name}`, configuration);
        if (configuration !== undefined && name === options.mutating && isRight(configuration)) options.bundled();
        keeper.check();
      },
      failed: options.failed,
    }),
  );

  return {
    renew: keeper.renew,
    isWritten: keeper.isRight,
    stop: async () => {
      keeper.stop();
      await Promise.all(watches.map(({ stop }) => stop()));
    },
  };
};
