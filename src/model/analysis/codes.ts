/** How much a finding weighs for a pipeline: what breaks traffic, what is surely not meant, what is good to know. */
export type Level = "error" | "warning" | "info";

export interface CodeDefinition {
  readonly name: string;
  readonly level: Level;
  /** What it means for traffic. */
  readonly meaning: string;
  readonly cure: string;
  /** Code of Istio's own analysis where one says the same. */
  readonly istio?: string;
}

/** Codes are stable: pipelines suppress by them. Hundreds: 0 the resource alone, 1 VirtualService, 2 DestinationRule,
 * 3 ServiceEntry, 4 selection and scope, 5 Services and pods, 60 and 63 security policies, 65 telemetry. */
export const codes = {
  HDL0001: {
    name: "InvalidResource",
    level: "error",
    meaning: "The resource does not fit its schema or contradicts itself. The API server refuses it.",
    cure: "Correct the field that the finding names.",
    istio: "IST0106",
  },
  HDL0002: {
    name: "SuspectResource",
    level: "warning",
    meaning: "The resource is accepted, but something in it has no effect or is surely not meant.",
    cure: "Follow the finding; it names field, value and cure.",
    istio: "IST0108",
  },
  HDL0003: {
    name: "UnreadableDocument",
    level: "error",
    meaning: "A file holds text that is not YAML, or a document that is not a Kubernetes object.",
    cure: "Correct the document at the line named.",
  },
  HDL0004: {
    name: "DuplicateResource",
    level: "warning",
    meaning:
      "Two documents hold the same resource. The one read last is analysed, and which one a cluster has depends on order.",
    cure: "Remove one of them.",
  },
  HDL0101: {
    name: "UnknownHost",
    level: "error",
    meaning: "A destination names no Service and no ServiceEntry. Requests that the rule catches are answered 503.",
    cure: "Correct the host, or add the Service or ServiceEntry (to what is analysed, if it exists).",
    istio: "IST0101",
  },
  HDL0102: {
    name: "PartialHost",
    level: "error",
    meaning:
      "A host with a dot is taken as it stands: reviews.prod is not completed to reviews.prod.svc.cluster.local, so it names nothing.",
    cure: "Write the full name, or the short one from within the namespace.",
    istio: "IST0101",
  },
  HDL0103: {
    name: "UnknownSubset",
    level: "error",
    meaning: "No DestinationRule that holds here defines the subset. Requests sent to it are answered 503.",
    cure: "Define the subset in the DestinationRule of the host, or correct its name.",
    istio: "IST0101",
  },
  HDL0104: {
    name: "UnknownDestinationPort",
    level: "error",
    meaning: "The destination's port is none of the service. Requests sent to it are answered 503.",
    cure: "Name one of the service's ports, by its number, or leave the port out.",
  },
  HDL0105: {
    name: "HostNotExported",
    level: "error",
    meaning: "The service exists, but exportTo hides it from the namespace of this rule.",
    cure: "Add the namespace to the service's networking.istio.io/exportTo, or to exportTo of the ServiceEntry.",
  },
  HDL0106: {
    name: "RuleForUnknownHost",
    level: "warning",
    meaning: "A host of the VirtualService names nothing in the mesh, so the rule catches no request of a sidecar.",
    cure: "Correct the host, add the Service or ServiceEntry, or bind the rule to a gateway.",
    istio: "IST0101",
  },
  HDL0107: {
    name: "UnknownMatchPort",
    level: "warning",
    meaning: "A match names a port that none of the rule's services has. It never catches anything.",
    cure: "Name a port of the service, by its number.",
  },
  HDL0110: {
    name: "HostOwnedByAnother",
    level: "error",
    meaning:
      "Two VirtualServices name one host. In a sidecar the older owns it, and this one has no effect for that host.",
    cure: "Merge the two, use delegates, or give them hosts or exportTo that do not overlap.",
    istio: "IST0109",
  },
  HDL0111: {
    name: "UnreachableRule",
    level: "warning",
    meaning: "Earlier rules of the VirtualService catch every request that this one would.",
    cure: "Move the narrower rule up, or remove it.",
    istio: "IST0130",
  },
  HDL0112: {
    name: "IneffectiveMatch",
    level: "info",
    meaning: "An earlier match catches everything that this one of several would.",
    cure: "Remove the match, or move it up.",
    istio: "IST0131",
  },
  HDL0113: {
    name: "WeightsNotHundred",
    level: "warning",
    meaning: "Weights are relative: if they do not add to 100, the shares are not the percentages they look like.",
    cure: "Make the weights add to 100.",
  },
  HDL0114: {
    name: "RuleOfOtherProtocol",
    level: "warning",
    meaning:
      "http rules hold on HTTP ports, tls rules on TLS ports, tcp rules on the rest. The service has no such port.",
    cure: "Declare the port's protocol by its name or appProtocol, or write a rule of the other kind.",
  },
  HDL0115: {
    name: "UnknownGateway",
    level: "error",
    meaning: "The VirtualService is bound to a gateway that does not exist. Nothing enters through it.",
    cure: "Correct the name (namespace/name), or create the Gateway.",
    istio: "IST0101",
  },
  HDL0116: {
    name: "UnknownDelegate",
    level: "error",
    meaning: "A rule hands over to a VirtualService that does not exist. The rule is left out.",
    cure: "Create the delegate, or correct its name and namespace.",
    istio: "IST0101",
  },
  HDL0117: {
    name: "DelegateNotExported",
    level: "error",
    meaning: "The delegate's exportTo hides it from the namespace of the rule that hands over to it.",
    cure: "Add that namespace to the delegate's exportTo.",
  },
  HDL0118: {
    name: "DelegateUsedTwice",
    level: "info",
    meaning:
      "Several rules hand over to one delegate. Its rules hold in each place, and a change of it reaches all of them.",
    cure: "Nothing if this is meant; else give each its own delegate.",
  },
  HDL0119: {
    name: "UnusedDelegate",
    level: "warning",
    meaning: "A VirtualService without hosts is a delegate, and no other one hands over to it.",
    cure: "Name it as a delegate, give it hosts, or remove it.",
  },
  HDL0120: {
    name: "DelegateWithHosts",
    level: "error",
    meaning: "What a rule hands over to has hosts or gateways of its own, so it is no delegate. The rule is left out.",
    cure: "Remove hosts and gateways from it.",
  },
  HDL0201: {
    name: "PolicyForUnknownHost",
    level: "warning",
    meaning: "The DestinationRule is for a host that does not exist. It has no effect.",
    cure: "Correct the host, or add the Service or ServiceEntry.",
    istio: "IST0101",
  },
  HDL0202: {
    name: "HidesDestinationRule",
    level: "warning",
    meaning:
      "For this host the rule takes the place of a wider one, whole: nothing is inherited, so what only the wider one sets no longer holds.",
    cure: "Repeat the blocks that are named, or leave them to the wider rule.",
  },
  HDL0203: {
    name: "DestinationRuleHidden",
    level: "warning",
    meaning: "Another DestinationRule for the same host comes first, and this one, or a part of it, has no effect.",
    cure: "Put both into one DestinationRule, or give them the same exportTo so that they are merged.",
  },
  HDL0204: {
    name: "SubsetSelectsNothing",
    level: "warning",
    meaning: "The service has pods, but none with the subset's labels. Requests sent to the subset are answered 503.",
    cure: "Correct the labels, or deploy the version.",
    istio: "IST0173",
  },
  HDL0205: {
    name: "MutualTlsWithoutServer",
    level: "error",
    meaning: "Mutual TLS is demanded of endpoints that do not speak it: outside the mesh, or without a sidecar.",
    cure: "Leave the mode out: the mesh chooses by endpoint. For a server outside, use SIMPLE or MUTUAL.",
  },
  HDL0206: {
    name: "PlaintextWithinMesh",
    level: "warning",
    meaning:
      "Mutual TLS would be automatic, and this turns it off: the traffic is not encrypted and the caller not known.",
    cure: "Remove tls, or use ISTIO_MUTUAL.",
  },
  HDL0207: {
    name: "OriginatesTlsWithinMesh",
    level: "warning",
    meaning:
      "SIMPLE or MUTUAL takes the place of automatic mutual TLS for a service whose port is not declared as TLS. The sidecar of the server passes the TLS to an application that does not expect it.",
    cure: "Remove tls, or declare the port as https or tls if the application speaks it.",
  },
  HDL0208: {
    name: "PlaintextToStrict",
    level: "error",
    meaning: "The rule sends plaintext to workloads whose PeerAuthentication is STRICT: every connection is closed.",
    cure: "Remove tls, or use ISTIO_MUTUAL; or let the workloads be PERMISSIVE.",
  },
  HDL0209: {
    name: "MutualTlsToDisabled",
    level: "error",
    meaning: "The rule demands mutual TLS of workloads whose PeerAuthentication is DISABLE: every connection fails.",
    cure: "Leave the mode out: the mesh chooses by endpoint and port. Or let the workloads be PERMISSIVE.",
  },
  HDL0301: {
    name: "TcpPortCollision",
    level: "warning",
    meaning: "ServiceEntries with a TCP port and no address share one listener on all addresses. The first wins it.",
    cure: "Give each its addresses, or other ports.",
  },
  HDL0302: {
    name: "HostInSeveralEntries",
    level: "warning",
    meaning: "Several ServiceEntries define one host. A client sees that of its own namespace, else the oldest.",
    cure: "Keep one, or restrict each by exportTo.",
  },
  HDL0303: {
    name: "EntryForService",
    level: "warning",
    meaning: "A ServiceEntry defines the host of a Kubernetes Service. The Service wins in its own namespace.",
    cure: "Use another host, or drop the Service.",
  },
  HDL0401: {
    name: "SelectorSelectsNothing",
    level: "warning",
    meaning: "The workload selector finds no pod in its namespace. The resource has no effect.",
    cure: "Correct the labels or the namespace.",
    istio: "IST0127",
  },
  HDL0402: {
    name: "SeveralSidecars",
    level: "warning",
    meaning: "Exactly one Sidecar holds for a workload, never a merge. Of several the oldest is taken.",
    cure: "Merge them, or make their selectors exclude each other.",
    istio: "IST0110",
  },
  HDL0403: {
    name: "UnknownEgressHost",
    level: "warning",
    meaning: "An egress host of the Sidecar imports nothing.",
    cure: "Write namespace/host with the full host name; . is the own namespace and * any.",
    istio: "IST0101",
  },
  HDL0404: {
    name: "ExportToUnknownNamespace",
    level: "warning",
    meaning: "exportTo names a namespace that does not exist, so nobody there sees the resource.",
    cure: "Correct the name; . is the own namespace and * all.",
  },
  HDL0405: {
    name: "SelectorInRootNamespace",
    level: "warning",
    meaning:
      "In the root namespace a PeerAuthentication is for the whole mesh. One that selects workloads there is not in force.",
    cure: "Remove the selector, or put the resource into the namespace of the workloads.",
  },
  HDL0406: {
    name: "SeveralPeerAuthentications",
    level: "warning",
    meaning: "Of several PeerAuthentications of one mesh, namespace or workload the oldest is taken, never a merge.",
    cure: "Merge them, or make their selectors exclude each other.",
  },
  HDL0501: {
    name: "ProtocolNotDeclared",
    level: "info",
    meaning:
      "The port's protocol is told from the first bytes of each connection, which costs time and fails if the server speaks first.",
    cure: "Name the port protocol[-suffix], such as http-web, or set appProtocol.",
    istio: "IST0118",
  },
  HDL0502: {
    name: "ProtocolContradiction",
    level: "warning",
    meaning: "The port's name says one protocol, appProtocol or the transport another. appProtocol wins over the name.",
    cure: "Make them agree.",
  },
  HDL0503: {
    name: "PodPortProtocolsDiffer",
    level: "warning",
    meaning:
      "Two Services select the same pods and declare one container port differently. The server's proxy has to detect it.",
    cure: "Declare the same protocol in both.",
    istio: "IST0116",
  },
  HDL0504: {
    name: "PodNotInjected",
    level: "warning",
    meaning:
      "The namespace asks for injection, and this pod runs without a sidecar: it was started before, or the webhook did not answer.",
    cure: 'Restart it (kubectl rollout restart), or say sidecar.istio.io/inject: "false" if this is meant.',
    istio: "IST0103",
  },
  HDL0601: {
    name: "RequestRuleOnTcpPort",
    level: "warning",
    meaning:
      "A rule asks for what only HTTP has, and a selected workload has a TCP port. There ALLOW never matches, and DENY and CUSTOM match without those fields: they close more than they name.",
    cure: "Limit the rule to HTTP ports with operation.ports, and write one of its own for the TCP ports.",
  },
  HDL0602: {
    name: "PlaintextEscapesIdentity",
    level: "warning",
    meaning:
      "A rule tells callers by their identity, and a selected workload takes plaintext, whose callers have none: a DENY rule misses them, and an ALLOW rule for all but some lets them in.",
    cure: "Set PeerAuthentication STRICT for the workload.",
  },
  HDL0603: {
    name: "UnknownProvider",
    level: "error",
    meaning: "The CUSTOM policy names a provider that the mesh configuration does not have. What it selects is denied.",
    cure: "Add it to extensionProviders, with envoyExtAuthzGrpc or envoyExtAuthzHttp, or correct the name.",
  },
  HDL0604: {
    name: "SeveralProviders",
    level: "error",
    meaning: "CUSTOM policies of one workload name several providers. What they select is denied.",
    cure: "Have all CUSTOM policies of a workload name the same provider.",
  },
  HDL0605: {
    name: "ProviderWithoutService",
    level: "error",
    meaning:
      "The provider's service is not in the mesh, or has no such port. It cannot be asked, so what the policy selects is denied, or let pass with failOpen.",
    cure: "Add the Service or a ServiceEntry, or correct host and port in extensionProviders.",
  },
  HDL0606: {
    name: "HttpProviderOnTcpPort",
    level: "warning",
    meaning:
      "The provider is asked by HTTP, which says nothing of connections: those to TCP ports that the policy selects are denied.",
    cure: "Limit the rules to HTTP ports with operation.ports, or use a provider with envoyExtAuthzGrpc.",
  },
  HDL0630: {
    name: "TokenHeaderIsOverwritten",
    level: "error",
    meaning:
      "One RequestAuthentication fills a header that another one takes tokens from. What the caller sends in it is removed first, so that these tokens are never seen and their requests are anonymous.",
    cure: "Choose another header for what is proven.",
  },
  HDL0631: {
    name: "AnonymousRequestsPass",
    level: "info",
    meaning:
      "A RequestAuthentication refuses bad tokens, not missing ones, and no AuthorizationPolicy asks for a token where it is in force.",
    cure: 'Add an AuthorizationPolicy that allows requests with requestPrincipals, such as ["*"], alone.',
  },
  HDL0650: {
    name: "SeveralTelemetries",
    level: "warning",
    meaning: "Of several Telemetries for a whole namespace, or for the mesh, the oldest is taken, never a merge.",
    cure: "Merge them, or add selectors: those that select the same workload hold together.",
    istio: "IST0160",
  },
} as const satisfies Readonly<Record<string, CodeDefinition>>;

export type Code = keyof typeof codes;

export const codeOf = (code: Code): CodeDefinition => codes[code];
