import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const binary = join(import.meta.dirname, "..", "..", "..", ".cache/tools/bin/envoy");

export interface EnvoyOptions {
  readonly folder: string;
  /** Name of the pod whose proxy it is. */
  readonly name: string;
  readonly adminPort: number;
  readonly xdsPort: number;
  readonly rootsPem: string;
  readonly token: string;
}

/** A proxy on this machine, connected as injected ones are: the root and the token are files. */
export const startEnvoy = (options: EnvoyOptions) => {
  const folder = join(options.folder, options.name);
  mkdirSync(folder);
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const fromStream = { ads: {}, initial_fetch_timeout: "0s", resource_api_version: "V3" };
  const bootstrap = {
    node: { id: `sidecar~127.0.0.1~${options.name}.shop~shop.svc.cluster.local`, cluster: options.name },
    admin: { address: { socket_address: { address: "127.0.0.1", port_value: options.adminPort } } },
    dynamic_resources: {
      lds_config: fromStream,
      cds_config: fromStream,
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        grpc_services: [
          {
            google_grpc: {
              target_uri: `localhost:${options.xdsPort}`,
              stat_prefix: "xds-grpc",
              channel_credentials: {
                ssl_credentials: { root_certs: { filename: file("root.pem", options.rootsPem) } },
              },
              credentials_factory_name: "envoy.grpc_credentials.file_based_metadata",
              call_credentials: [
                {
                  from_plugin: {
                    name: "envoy.grpc_credentials.file_based_metadata",
                    typed_config: {
                      "@type": "type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
                      secret_data: { filename: file("token", options.token) },
                      header_key: "authorization",
                      header_prefix: "Bearer ",
                    },
                  },
                },
              ],
              channel_args: {
                args: {
                  "grpc.max_reconnect_backoff_ms": { int_value: 500 },
                  "grpc.initial_reconnect_backoff_ms": { int_value: 100 },
                },
              },
            },
          },
        ],
      },
    },
  };
  const words = [
    "--config-yaml",
    JSON.stringify(bootstrap),
    "--concurrency",
    "1",
    "--disable-hot-restart",
    "-l",
    "warning",
  ];
  const child = spawn(binary, words, { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString("utf8")).slice(-8000);
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  return {
    log: () => log,
    admin: async (path: string): Promise<string> =>
      (await fetch(`http://127.0.0.1:${options.adminPort}${path}`)).text(),
    stop: async (): Promise<void> => {
      child.kill("SIGKILL");
      await ended;
    },
  };
};
