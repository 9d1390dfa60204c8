import { error, errorIf, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { labelNameFault, wildcardDomainFault } from "../names.js";
import type { Destination } from "./virtual-service-common.js";

/** Of all weights of a rule together. */
const largestTotal = 4_294_967_295;

const hostFault = (host: string): string | undefined =>
  host === "*" ? '"*" is no destination; name one host' : wildcardDomainFault(host);

export const checkDestination = ({ host, subset, port }: Destination, path: string): readonly Finding[] => [
  ...errorIf(`${path}.host`, hostFault(host)),
  ...(subset ? errorIf(`${path}.subset`, labelNameFault(subset)) : []),
  ...(port === undefined || (port.number ?? 0) > 0
    ? []
    : [error(`${path}.port.number`, "is 0 or missing; name a port or leave `port` out")]),
];

interface Weighted {
  readonly destination: Destination;
  readonly weight?: number;
}

const checkWeights = (routes: readonly Weighted[], path: string): readonly Finding[] => {
  if (routes.length === 1)
    return routes[0]!.weight === 0
      ? [
          warning(
            `${path}[0].weight`,
            "0 has no effect: a single destination takes every request; remove the rule instead",
          ),
        ]
      : [];
  const total = routes.reduce((sum, { weight }) => sum + (weight ?? 0), 0);
  if (total === 0) return [error(path, "all weights are 0, so no destination takes the traffic; give one a weight")];
  if (total > largestTotal) return [error(path, `the weights add up to ${total}; ${largestTotal} is the most`)];
  return [
    ...(total === 100
      ? []
      : [warning(path, `the weights add up to ${total}, not 100; shares are relative to their sum`)]),
    ...routes.flatMap(({ weight }, index) =>
      weight === undefined
        ? [warning(`${path}[${index}].weight`, "is missing, so this destination takes nothing")]
        : [],
    ),
  ];
};

export const checkDestinations = (routes: readonly Weighted[], path: string): readonly Finding[] =>
  routes.length === 0
    ? [error(path, "has no destination; add one")]
    : [
        ...routes.flatMap(({ destination }, index) => checkDestination(destination, `${path}[${index}].destination`)),
        ...checkWeights(routes, path),
      ];
