import { X509Certificate } from "node:crypto";
import { type EncodedResource, typeUrls } from "../../compile/resources.js";
import type { WorkloadSecrets } from "../../identity/workload.js";
import { splitCertificates } from "../../identity/x509.js";
import type { Delivered, ProxyIdentity } from "../../serve/configuration.js";

/** What one connected proxy holds, as it has said itself by acknowledging it. */
export interface Holding {
  readonly proxy: ProxyIdentity;
  /** The certificate issued to it last. */
  readonly issued: CertificateFacts;
  /** Whether that one is acknowledged; "unasked" for a proxy that has never asked for any. */
  readonly state: "acknowledged" | "pending" | "rejected" | "unasked";
  /** The one acknowledged last, if it is another one. */
  readonly held?: CertificateFacts;
  /** Whether it trusts exactly the roots of now; true for one that never asked for any. */
  readonly trusts: boolean;
}

/** Of a workload certificate; times in RFC 3339. */
export interface CertificateFacts {
  readonly spiffeId: string;
  readonly serialNumber: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** SHA-256 of the root it leads to. */
  readonly root: string;
}

export interface HoldingSummary {
  readonly proxies: number;
  /** How many of them trust the roots of now. */
  readonly trusting: number;
  /** Some of those that do not, as `namespace/pod`. */
  readonly behind: readonly string[];
  /** How many hold a certificate of which root, by its SHA-256. */
  readonly byRoot: Readonly<Record<string, number>>;
}

/** One stream's part of the book. */
export interface HoldingRecord {
  readonly written: (secrets: WorkloadSecrets, resources: readonly EncodedResource[]) => void;
  readonly delivered: Delivered;
  readonly close: () => void;
}

/** Which certificate and which roots each connected proxy holds. */
export interface Holdings {
  readonly open: (proxy: ProxyIdentity) => HoldingRecord;
  readonly list: () => readonly Holding[];
  readonly summary: () => HoldingSummary;
}

interface Entry {
  readonly proxy: ProxyIdentity;
  /** What was written under a version and may be acknowledged yet. */
  readonly certificates: Map<string, IssuedLeaf>;
  /** Version of the certificate and of the roots: written last, sent last, acknowledged last. */
  readonly certificate: Versions;
  readonly roots: Versions;
}

/** Without the key. */
type IssuedLeaf = Pick<WorkloadSecrets, "certificateChainPem" | "root">;

interface Versions {
  written: string;
  sent?: string;
  held?: string;
  rejected?: string;
}

const certificateName = "default";
const rootsName = "ROOTCA";
const mostNames = 10;

const factsOf = ({ certificateChainPem, root }: IssuedLeaf): CertificateFacts => {
  const leaf = new X509Certificate(splitCertificates(certificateChainPem)[0]!);
  return {
    spiffeId: (leaf.subjectAltName ?? "").replace(/^URI:/, ""),
    serialNumber: leaf.serialNumber.toLowerCase(),
    notBefore: leaf.validFromDate.toISOString(),
    notAfter: leaf.validToDate.toISOString(),
    root,
  };
};

const trustsAll = ({ roots }: Entry): boolean => roots.sent === undefined || roots.held === roots.written;

const heldBy = ({ certificate, certificates }: Entry): IssuedLeaf | undefined =>
  certificate.held === undefined ? undefined : certificates.get(certificate.held);

const stateOf = ({ certificate: { written, sent, held, rejected } }: Entry): Holding["state"] => {
  if (sent === undefined) return "unasked";
  if (held === written) return "acknowledged";
  return rejected === written ? "rejected" : "pending";
};

const holdingOf = (entry: Entry): Holding => {
  const held = entry.certificate.held === entry.certificate.written ? undefined : heldBy(entry);
  return {
    proxy: entry.proxy,
    issued: factsOf(entry.certificates.get(entry.certificate.written)!),
    state: stateOf(entry),
    ...(held === undefined ? {} : { held: factsOf(held) }),
    trusts: trustsAll(entry),
  };
};

export const createHoldings = (): Holdings => {
  const entries = new Set<Entry>();

  const note = (entry: Entry, { name, version }: EncodedResource, delivery: Parameters<Delivered>[2]): void => {
    const versions = name === certificateName ? entry.certificate : name === rootsName ? entry.roots : undefined;
    if (versions === undefined) return;
    versions.sent ??= version;
    versions[delivery] = version;
    if (versions !== entry.certificate || delivery !== "held") return;
    for (const known of entry.certificates.keys())
      if (known !== version && known !== versions.written) entry.certificates.delete(known);
  };

  return {
    open: (proxy) => {
      const entry: Entry = { proxy, certificates: new Map(), certificate: { written: "" }, roots: { written: "" } };
      return {
        written: ({ certificateChainPem, root }, resources) => {
          for (const { name, version } of resources) {
            if (name === certificateName) {
              entry.certificate.written = version;
              entry.certificates.set(version, { certificateChainPem, root });
            } else if (name === rootsName) entry.roots.written = version;
          }
          entries.add(entry);
        },
        delivered: (type, resources, delivery) => {
          if (type !== typeUrls.secret) return;
          for (const layer of resources) for (const resource of layer) note(entry, resource, delivery);
        },
        close: () => entries.delete(entry),
      };
    },
    list: () => [...entries].map(holdingOf),
    summary: () => {
      const byRoot: Record<string, number> = {};
      const behind: string[] = [];
      let trusting = 0;
      for (const entry of entries) {
        const root = heldBy(entry)?.root;
        if (root !== undefined) byRoot[root] = (byRoot[root] ?? 0) + 1;
        if (trustsAll(entry)) trusting += 1;
        else if (behind.length < mostNames) behind.push(`${entry.proxy.namespace}/${entry.proxy.podName}`);
      }
      return { proxies: entries.size, trusting, behind: behind.sort(), byRoot };
    },
  };
};
