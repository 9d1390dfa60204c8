import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { readMeshConfig } from "../api/meshconfig.js";
import type { ApiClient } from "../watch/api-client.js";
import type { WatchedObject } from "../watch/list-watch.js";
import { watchNamed } from "../watch/named.js";
import {
  type InjectionSettings,
  type InjectionTexts,
  readFields,
  readInjectionSettings,
} from "./injection-settings.js";
import type { Settings } from "./settings.js";

export interface LiveSettingsOptions {
  readonly client: ApiClient;
  readonly settings: Settings;
  readonly logger: Logger;
  /** A ConfigMap was read, and can be used or not. */
  readonly judged?: (configMap: string, isUsable: boolean) => void;
}

export interface LiveSettings {
  readonly injection: () => InjectionSettings;
  readonly stop: () => Promise<void>;
}

interface ConfigMap extends WatchedObject {
  readonly data?: Readonly<Record<string, string>>;
}

/**
 * Follows the ConfigMaps that the settings were read from. What pods are injected with changes with the next pod; the
 * mesh's configuration at the next start, which the log says. It watches the ConfigMaps, not their mounted files: these
 * change within two minutes, on each node at another time, and until then replicas would inject differently.
 */
export const followSettings = ({ client, settings, logger, judged }: LiveSettingsOptions): LiveSettings => {
  let injection = settings.injection;
  let texts: InjectionTexts = settings.injectionTexts;
  let { mesh, meshText } = settings;

  /** Applies a change; what cannot be read leaves everything as it was. */
  const attempt = (configMap: string, change: () => void): void => {
    try {
      change();
      judged?.(configMap, true);
    } catch (error) {
      judged?.(configMap, false);
      logger.error(
        { configMap, error: (error as Error).message },
        "a ConfigMap cannot be used; the last good one holds",
      );
    }
  };

  const takeTexts = ({ values = "", config = "", overlays = "" }: Readonly<Record<string, string>>): void => {
    const next: InjectionTexts = { values, config, overlays };
    if (isDeepStrictEqual(next, texts)) return;
    injection = readInjectionSettings(next, settings.builtInTemplate, mesh.defaultConfig);
    texts = next;
    logger.info({ configMap: settings.injectionConfigMap }, "pods are injected by a new template or new values");
  };

  const takeMesh = ({ mesh: text = "" }: Readonly<Record<string, string>>): void => {
    if (text === meshText) return;
    const read = readMeshConfig(readFields(text, "meshConfig"), mesh.clusterDomain, ({ path, message }) =>
      logger.warn(`${path}: ${message}`),
    );
    const next = { ...read, clusterId: mesh.clusterId, spire: mesh.spire };
    injection = readInjectionSettings(texts, settings.builtInTemplate, next.defaultConfig);
    meshText = text;
    mesh = next;
    if (!isDeepStrictEqual({ ...next, defaultConfig: {} }, { ...settings.mesh, defaultConfig: {} }))
      logger.warn(
        { configMap: settings.meshConfigMap },
        "the mesh configuration has changed; all but defaultConfig takes effect when heddled is restarted",
      );
  };

  const follow = (name: string, take: (data: Readonly<Record<string, string>>) => void) =>
    watchNamed<ConfigMap>({
      client,
      path: `/api/v1/namespaces/${settings.namespace}/configmaps`,
      name,
      changed: (object) => {
        if (object === undefined) logger.warn({ configMap: name }, "a ConfigMap is gone; what it said last holds");
        else attempt(name, () => take(object.data ?? {}));
      },
      failed: (error) => logger.warn({ configMap: name, error: error.message }, "a watch failed and is tried again"),
    });
  const watches = [follow(settings.injectionConfigMap, takeTexts), follow(settings.meshConfigMap, takeMesh)];

  return {
    injection: () => injection,
    stop: async () => {
      await Promise.all(watches.map(({ stop }) => stop()));
    },
  };
};
