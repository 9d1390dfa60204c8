import { type Static, Type } from "typebox";

const path = (description: string) => Type.Optional(Type.String({ maxLength: 4096, description }));

export const clientTlsSchema = Type.Object(
  {
    mode: Type.Optional(
      Type.Enum(["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"], {
        description:
          "DISABLE: plaintext. SIMPLE: TLS. MUTUAL: TLS with a client certificate of your own. ISTIO_MUTUAL: TLS with the mesh's certificates. Default DISABLE.",
      }),
    ),
    clientCertificate: path("File in the proxy's container with the client certificate chain; MUTUAL only."),
    privateKey: path("File in the proxy's container with the client certificate's private key; MUTUAL only."),
    caCertificates: path(
      "File in the proxy's container with the authorities that the server's certificate may come from. Default: the system's.",
    ),
    caCrl: path("File in the proxy's container with revoked certificates that a server must not present."),
    credentialName: Type.Optional(
      Type.String({ maxLength: 512, description: "Secret with the certificates, in the namespace of the proxy." }),
    ),
    subjectAltNames: Type.Optional(
      Type.Array(Type.String({ maxLength: 2048 }), {
        maxItems: 1000,
        description:
          "The server's certificate must carry one of these names. Default: the host that the request names, or those of the ServiceEntry.",
      }),
    ),
    sni: Type.Optional(
      Type.String({
        maxLength: 255,
        description: "Server name in the handshake. Default: the host that the request names.",
      }),
    ),
    insecureSkipVerify: Type.Optional(
      Type.Boolean({
        description: "Take any certificate of the server. Anyone on the way can then read along. Default false.",
      }),
    ),
  },
  { additionalProperties: false, description: "TLS on connections to the service." },
);

export type ClientTlsSettings = Static<typeof clientTlsSchema>;
