interface Aged {
  readonly metadata?: { readonly creationTimestamp?: unknown; readonly name?: string; readonly namespace?: string };
}

/** What is not in a cluster yet is younger than all that is. */
const createdAt = ({ metadata }: Aged): string => String(metadata?.creationTimestamp ?? "~");

const label = ({ metadata }: Aged): string => `${metadata?.name}.${metadata?.namespace}`;

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The order that decides conflicts of any kind: creation time, then `name.namespace`, as Istio orders them. */
export const byAge = (left: Aged, right: Aged): number =>
  compare(createdAt(left), createdAt(right)) || compare(label(left), label(right));
