import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { createRateLimit } from "../limits/rate-limit.js";
import {
  type IstioCertificateRequest,
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
} from "../proto/istio/v1/auth/ca_pb.js";
import { type CertificateAuthority, spiffeId } from "./authority.js";
import { readSigningRequest, SigningRequestFault } from "./signing-request.js";
import { TokenRefusal, type VerifiedPod } from "./token.js";
import { splitCertificates } from "./x509.js";

/** What has become of a request for a certificate. */
export type SigningOutcome = "issued" | "unauthenticated" | "malformed" | "refused" | "failed";

export interface CertificateServiceOptions {
  /** Asked at each request, so that a new authority takes effect at once. */
  readonly authority: () => CertificateAuthority;
  /** `address` is where the request comes from. */
  readonly authenticate: (token: string, address: string) => Promise<VerifiedPod>;
  readonly trustDomain: string;
  /** Seconds; what a request that names no lifetime gets, and the most that any gets. */
  readonly longestLifetime: number;
  /** Told of each answer, with the reason of a refusal, which holds no secret. */
  readonly answered?: (outcome: SigningOutcome, details: { readonly id?: string; readonly why?: string }) => void;
  /** Requests of one pod: at once, and for each second after that. */
  readonly limit?: { readonly burst: number; readonly perSecond: number };
}

/** A refusal with its gRPC status; the codes are istiod's. */
class Refusal extends Error {
  override readonly name = "Refusal";
  constructor(
    readonly code: status,
    message: string,
  ) {
    super(message);
  }
}

const outcomes: ReadonlyMap<status, SigningOutcome> = new Map([
  [status.UNAUTHENTICATED, "unauthenticated"],
  [status.INVALID_ARGUMENT, "malformed"],
  [status.INTERNAL, "failed"],
  [status.UNAVAILABLE, "failed"],
]);

const bearerOf = (header: unknown): string =>
  typeof header === "string" && /^bearer /i.test(header) ? header.slice("Bearer ".length).trim() : "";

/** The peer is `address:port`. */
const addressOf = (peer: string): string => peer.slice(0, peer.lastIndexOf(":"));

/** A ztunnel asks in this way for another workload's identity. */
const impersonates = (request: IstioCertificateRequest): boolean =>
  request.metadata !== undefined && Object.hasOwn(request.metadata, "ImpersonatedIdentity");

const lifetimeOf = ({ validityDuration }: IstioCertificateRequest, longest: number): number =>
  validityDuration <= 0n || validityDuration > BigInt(longest) ? longest : Number(validityDuration);

type Call = ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>;

/** `istio.v1.auth.IstioCertificateService`: signs keys that the callers hold. Whose they are, the token alone says. */
export const createCertificateService = (
  options: CertificateServiceOptions,
): { readonly definition: ServiceDefinition; readonly implementation: UntypedServiceImplementation } => {
  const requests = createRateLimit(options.limit ?? { burst: 10, perSecond: 0.2 });

  const authenticate = async (call: Call): Promise<VerifiedPod> => {
    try {
      return await options.authenticate(bearerOf(call.metadata.get("authorization")[0]), addressOf(call.getPeer()));
    } catch (error) {
      if (error instanceof TokenRefusal) throw new Refusal(status.UNAUTHENTICATED, error.message);
      throw new Refusal(status.UNAVAILABLE, "the token could not be verified; try again");
    }
  };

  const sign = async (call: Call): Promise<{ readonly id: string; readonly chain: readonly string[] }> => {
    const pod = await authenticate(call);
    const id = spiffeId(options.trustDomain, pod.namespace, pod.serviceAccount);
    if (!requests.take(pod.podUid))
      throw new Refusal(
        status.RESOURCE_EXHAUSTED,
        `too many requests of pod ${pod.namespace}/${pod.podName}; keep the certificate until half its lifetime is over`,
      );
    if (impersonates(call.request))
      throw new Refusal(
        status.UNAUTHENTICATED,
        `metadata.ImpersonatedIdentity: ${id} may not ask for another identity; leave it out`,
      );
    const request = readSigningRequest(call.request.csr);
    const other = request.uris.find((uri) => uri !== id);
    if (other !== undefined || request.hasOtherNames)
      throw new Refusal(
        status.PERMISSION_DENIED,
        `the CSR asks for ${other === undefined ? "names that are no SPIFFE id" : JSON.stringify(other.slice(0, 200))}, and the token is of ${id}; ask for that or for no name`,
      );
    const authority = options.authority();
    const lifetime = lifetimeOf(call.request, options.longestLifetime);
    const { certificateChainPem } = await authority.sign({ uri: id }, request.publicKey, lifetime);
    // As from istiod, the last item is the whole trust bundle.
    return { id, chain: [...splitCertificates(certificateChainPem), authority.rootsPem] };
  };

  const createCertificate = (call: Call, callback: sendUnaryData<IstioCertificateResponse>): void => {
    sign(call).then(
      ({ id, chain }) => {
        options.answered?.("issued", { id });
        callback(null, create(IstioCertificateResponseSchema, { certChain: [...chain] }));
      },
      (error: Error) => {
        const code =
          error instanceof Refusal
            ? error.code
            : error instanceof SigningRequestFault
              ? status.INVALID_ARGUMENT
              : status.INTERNAL;
        options.answered?.(outcomes.get(code) ?? "refused", { why: error.message });
        callback({ code, details: code === status.INTERNAL ? "the certificate could not be signed" : error.message });
      },
    );
  };

  return {
    definition: {
      createCertificate: {
        path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
        requestStream: false,
        responseStream: false,
        requestSerialize: (value: IstioCertificateRequest) =>
          Buffer.from(toBinary(IstioCertificateRequestSchema, value)),
        requestDeserialize: (bytes: Buffer) => fromBinary(IstioCertificateRequestSchema, bytes),
        responseSerialize: (value: IstioCertificateResponse) =>
          Buffer.from(toBinary(IstioCertificateResponseSchema, value)),
        responseDeserialize: (bytes: Buffer) => fromBinary(IstioCertificateResponseSchema, bytes),
      },
    },
    implementation: { createCertificate },
  };
};
