import { authorizerHost } from "../../api/extension-provider.js";
import { show } from "../../api/findings.js";
import {
  type AuthorizationPolicy,
  type AuthorizationRule,
  isDryRun,
  providerOf,
} from "../../api/security/authorization-policy-spec.js";
import { asksForRequests } from "../../api/security/request-only.js";
import { hasTargets } from "../../api/security/target-refs.js";
import { mtlsModesOf } from "../peer-authentication.js";
import { selects } from "../selector.js";
import { isPolicyFor } from "../workload-policies.js";
import { type CodedFinding, enumerate, found } from "./finding.js";
import type { AnalysisIndex } from "./index.js";
import { keyOf, namespaceOf } from "./named.js";
import { checkSelector } from "./scope.js";
import { selectedBy, type Workload } from "./workloads.js";

const actionOf = ({ spec }: AuthorizationPolicy) => spec.action ?? "ALLOW";

const selectedWorkloads = (index: AnalysisIndex, policy: AuthorizationPolicy): readonly Workload[] => {
  const namespace = namespaceOf(policy);
  const workloads = index.workloads();
  const namespaces = namespace === index.mesh.rootNamespace ? workloads.namespaces : [namespace];
  return namespaces.flatMap((each) => selectedBy(workloads, each, policy.spec.selector?.matchLabels ?? {}));
};

interface TcpPort {
  readonly workload: Workload;
  readonly port: number | string;
}

/** Ports that Services declare as TCP, by the workload's own number where it is known. */
const tcpPorts = (index: AnalysisIndex, workloads: readonly Workload[]): readonly TcpPort[] => {
  const namespaces = Map.groupBy(workloads, ({ namespace }) => namespace);
  return (index.objects.meshServices ?? []).flatMap((service) => {
    const declared = service.ports.filter(({ protocol }) => protocol === "tcp");
    if (declared.length === 0) return [];
    return (namespaces.get(service.namespace) ?? [])
      .filter(({ labels }) => selects(service.selector, labels))
      .flatMap((workload) =>
        declared.map(({ targetPort }) => ({
          workload,
          port:
            typeof targetPort === "number"
              ? targetPort
              : (workload.ports().find(({ name }) => name === targetPort)?.port ?? targetPort),
        })),
      );
  });
};

/** Whether the rule can be about the port, going by its operations alone. */
const reachesPort = ({ to }: AuthorizationRule, port: number | string): boolean =>
  to === undefined ||
  to.length === 0 ||
  to.some(
    ({ operation: { ports, notPorts } = {} }) =>
      (ports === undefined || ports.includes(String(port))) && notPorts?.includes(String(port)) !== true,
  );

const placesOf = (ports: readonly TcpPort[]): string =>
  enumerate(new Set(ports.map(({ workload, port }) => `${port} of ${workload.kind} ${workload.name}`)));

const checkTcpPorts = (
  index: AnalysisIndex,
  policy: AuthorizationPolicy,
  workloads: readonly Workload[],
): readonly CodedFinding[] => {
  const { rules = [] } = policy.spec;
  const action = actionOf(policy);
  const isAskedByHttp =
    action === "CUSTOM" &&
    index.mesh.extensionProviders.some(
      ({ name, envoyExtAuthzHttp }) => name === providerOf(policy) && envoyExtAuthzHttp !== undefined,
    );
  if (action === "AUDIT" || !(isAskedByHttp || rules.some(asksForRequests))) return [];
  const ports = tcpPorts(index, workloads);
  const effect = action === "ALLOW" ? "nothing is allowed by this rule" : "the rule matches without those fields";
  return rules.flatMap((rule, at) => {
    const reached = ports.filter(({ port }) => reachesPort(rule, port));
    if (reached.length === 0) return [];
    const path = `spec.rules[${at}]`;
    if (isAskedByHttp)
      return [
        found(
          "HDL0606",
          path,
          `TCP port ${placesOf(reached)}: ${show(providerOf(policy))} cannot be asked, so connections are denied`,
        ),
      ];
    return asksForRequests(rule)
      ? [found("HDL0601", path, `TCP port ${placesOf(reached)} has no HTTP: ${effect}; limit it with operation.ports`)]
      : [];
  });
};

const identityFields = ["principals", "namespaces", "serviceAccounts", "trustDomains"] as const;
const identityKeys = ["source.principal", "source.namespace", "source.serviceAccount", "source.trustDomain"];

const negated = (field: string): string => `not${field[0]!.toUpperCase()}${field.slice(1)}`;

/** Fields by which callers without an identity get what the policy does not mean for them. */
const escapes = (rule: AuthorizationRule, action: string, path: string): readonly string[] => {
  const isNegative = action === "ALLOW";
  const names: readonly string[] = isNegative ? identityFields.map(negated) : identityFields;
  return [
    ...(rule.from ?? []).flatMap(({ source = {} }, at) =>
      names.filter((name) => Object.hasOwn(source, name)).map((name) => `${path}.from[${at}].source.${name}`),
    ),
    ...(rule.when ?? []).flatMap(({ key, values, notValues }, at) =>
      identityKeys.includes(key) && (isNegative ? notValues : values) !== undefined
        ? [`${path}.when[${at}].${isNegative ? "notValues" : "values"}`]
        : [],
    ),
  ];
};

const checkIdentities = (
  index: AnalysisIndex,
  policy: AuthorizationPolicy,
  workloads: readonly Workload[],
): readonly CodedFinding[] => {
  const action = actionOf(policy);
  if (action === "AUDIT") return [];
  const paths = (policy.spec.rules ?? []).flatMap((rule, at) => escapes(rule, action, `spec.rules[${at}]`));
  if (paths.length === 0) return [];
  const modes = { mesh: index.mesh, peerAuthentications: index.peerAuthentications() };
  const open = workloads.filter(({ namespace, labels }) => {
    const { mode, ports } = mtlsModesOf(modes, namespace, labels);
    return mode !== "STRICT" || [...ports.values()].some((ofPort) => ofPort !== "STRICT");
  });
  if (open.length === 0) return [];
  const names = enumerate(open.map(({ kind, name }) => `${kind} ${name}`));
  const effect = action === "ALLOW" ? "are let in" : `escape this ${action} rule`;
  return paths.map((path) =>
    found(
      "HDL0602",
      path,
      `${names}: callers in plaintext have no identity and ${effect}; set PeerAuthentication STRICT`,
    ),
  );
};

const checkProvider = (
  index: AnalysisIndex,
  policy: AuthorizationPolicy,
  workloads: readonly Workload[],
): readonly CodedFinding[] => {
  if (actionOf(policy) !== "CUSTOM" || isDryRun(policy)) return [];
  const name = providerOf(policy);
  const path = "spec.provider.name";
  const provider = index.mesh.extensionProviders.find((each) => each.name === name);
  const authorizer = provider?.envoyExtAuthzGrpc ?? provider?.envoyExtAuthzHttp;
  if (authorizer === undefined)
    return [
      found(
        "HDL0603",
        path,
        `${show(name)}: extensionProviders have no such authorizer, so what is selected is denied; add it`,
      ),
    ];
  const host = authorizerHost(authorizer);
  const services = (index.objects.meshServices ?? []).filter((service) => service.host === host);
  const isThere = services.some(({ ports }) => ports.some(({ port }) => port === authorizer.port));
  const { rootNamespace } = index.mesh;
  const rival = [...index.authorizationPolicies().values()]
    .flat()
    .find(
      (other) =>
        keyOf(other) !== keyOf(policy) &&
        actionOf(other) === "CUSTOM" &&
        !isDryRun(other) &&
        providerOf(other) !== name &&
        workloads.some(({ namespace, labels }) => isPolicyFor(other, rootNamespace, namespace, labels)),
    );
  return [
    ...(isThere
      ? []
      : [
          found(
            "HDL0605",
            path,
            `${show(name)}: no service ${host} with port ${authorizer.port} is in the mesh; add it`,
          ),
        ]),
    ...(rival === undefined
      ? []
      : [
          found(
            "HDL0604",
            path,
            `${show(name)}: AuthorizationPolicy ${keyOf(rival)} has another provider for the same workloads, so what both select is denied; use one`,
          ),
        ]),
  ];
};

export const checkAuthorizationPolicyReferences = (
  index: AnalysisIndex,
  policy: AuthorizationPolicy,
): readonly CodedFinding[] => {
  if (hasTargets(policy.spec)) return [];
  const workloads = selectedWorkloads(index, policy);
  const labels = policy.spec.selector?.matchLabels;
  return [
    ...checkSelector(index, namespaceOf(policy), labels, "spec.selector.matchLabels", "mesh"),
    ...checkTcpPorts(index, policy, workloads),
    ...checkIdentities(index, policy, workloads),
    ...checkProvider(index, policy, workloads),
  ];
};
