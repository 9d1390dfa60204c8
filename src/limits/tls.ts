import type { SecureContextOptions } from "node:tls";

/** What servers of the control plane take: ephemeral ECDH and authenticated encryption alone. */
export const serverProtocols: Pick<SecureContextOptions, "minVersion" | "ciphers"> & {
  readonly honorCipherOrder: true;
} = {
  minVersion: "TLSv1.2",
  ciphers: [
    ...["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"],
    ...["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
    ...["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
    ...["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"],
  ].join(":"),
  honorCipherOrder: true,
};
