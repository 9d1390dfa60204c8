import {
  all,
  authorizationPolicy,
  destinationRule,
  external,
  newer,
  older,
  peerAuthentication,
  pod,
  type Row,
  requestAuthentication,
  service,
  sidecar,
  subsets,
  telemetry,
  toReviews,
  virtualService,
} from "./support.ts";

/** DestinationRules, ServiceEntries, scope, Services and pods. */
export const rows: readonly Row[] = [
  {
    code: "HDL0201",
    bad: destinationRule("a", "{host: review}"),
    where: "DestinationRule prod/a spec.host",
    message: /no Service and no ServiceEntry has this host/,
    good: destinationRule("a", "{host: reviews}"),
  },
  {
    code: "HDL0202",
    bad: all(
      subsets,
      "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {namespace: istio-system, name: default}, spec: {host: '*.cluster.local', trafficPolicy: {connectionPool: {tcp: {maxConnections: 10}}}}}",
    ),
    where: "DestinationRule prod/reviews spec.host",
    message: /DestinationRule istio-system\/default \(\*\.cluster\.local\) no longer holds here.*: connectionPool;/,
    good: all(
      destinationRule("reviews", "{host: reviews, trafficPolicy: {connectionPool: {tcp: {maxConnections: 20}}}}"),
      "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {namespace: istio-system, name: default}, spec: {host: '*.cluster.local', trafficPolicy: {connectionPool: {tcp: {maxConnections: 10}}}}}",
    ),
  },
  {
    code: "HDL0203",
    bad: all(
      destinationRule("a", "{host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}}}", older),
      destinationRule("b", "{host: reviews, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}", newer),
    ),
    where: "DestinationRule prod/b spec.trafficPolicy",
    message: /DestinationRule prod\/a for the same host comes first/,
    good: all(
      destinationRule("a", "{host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}}}", older),
      destinationRule("b", "{host: reviews, subsets: [{name: v1, labels: {version: v1}}]}", newer),
    ),
  },
  {
    code: "HDL0204",
    bad: destinationRule("reviews", "{host: reviews, subsets: [{name: v2, labels: {version: v2}}]}"),
    where: "DestinationRule prod/reviews spec.subsets[0].labels",
    message: /"version=v2": none of the 1 endpoints/,
    good: subsets,
  },
  {
    code: "HDL0205",
    bad: destinationRule("db", "{host: db, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"),
    where: "DestinationRule prod/db spec.trafficPolicy.tls.mode",
    message: /Deployment db of db\.prod\.svc\.cluster\.local without a sidecar/,
    good: destinationRule("reviews", "{host: reviews, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"),
  },
  {
    code: "HDL0206",
    bad: destinationRule("reviews", "{host: reviews, trafficPolicy: {tls: {mode: DISABLE}}}"),
    where: "DestinationRule prod/reviews spec.trafficPolicy.tls.mode",
    message: /goes in plaintext/,
    good: destinationRule("db", "{host: db, trafficPolicy: {tls: {mode: DISABLE}}}"),
  },
  {
    code: "HDL0207",
    bad: destinationRule("reviews", "{host: reviews, trafficPolicy: {tls: {mode: SIMPLE}}}"),
    where: "DestinationRule prod/reviews spec.trafficPolicy.tls.mode",
    message: /port 80 of reviews\.prod\.svc\.cluster\.local is in the mesh/,
    good: destinationRule("db", "{host: db, trafficPolicy: {tls: {mode: SIMPLE}}}"),
  },
  {
    code: "HDL0208",
    bad: all(
      destinationRule("reviews", "{host: reviews, trafficPolicy: {tls: {mode: DISABLE}}}"),
      peerAuthentication("default", "{mtls: {mode: STRICT}}"),
    ),
    where: "DestinationRule prod/reviews spec.trafficPolicy.tls.mode",
    message: /Deployment reviews \(port 8080\) takes mutual TLS alone/,
    good: all(
      destinationRule("reviews", "{host: reviews, trafficPolicy: {tls: {mode: DISABLE}}}"),
      peerAuthentication("default", "{mtls: {mode: STRICT}}"),
      peerAuthentication(
        "reviews",
        "{selector: {matchLabels: {app: reviews}}, portLevelMtls: {'8080': {mode: PERMISSIVE}}}",
      ),
    ),
  },
  {
    code: "HDL0209",
    bad: all(
      destinationRule("reviews", "{host: reviews, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"),
      peerAuthentication("default", "{mtls: {mode: DISABLE}}"),
    ),
    where: "DestinationRule prod/reviews spec.trafficPolicy.tls.mode",
    message: /Deployment reviews \(port 8080\) takes plaintext alone/,
    good: all(
      destinationRule("reviews", "{host: reviews, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"),
      peerAuthentication("default", "{mtls: {mode: STRICT}}"),
    ),
  },
  {
    code: "HDL0301",
    bad: all(
      external("a", "hosts: [a.example.com], ports: [{name: tcp, number: 3306, protocol: TCP}]", older),
      external("b", "hosts: [b.example.com], ports: [{name: tcp, number: 3306, protocol: TCP}]", newer),
    ),
    where: "ServiceEntry prod/b spec.ports[0].number",
    message: /ServiceEntry prod\/a takes it first/,
    good: all(
      external("a", "hosts: [a.example.com], ports: [{name: tcp, number: 3306, protocol: TCP}]", older),
      external(
        "b",
        "hosts: [b.example.com], addresses: [10.9.9.9], ports: [{name: tcp, number: 3306, protocol: TCP}]",
        newer,
      ),
    ),
  },
  {
    code: "HDL0302",
    bad: all(
      external("a", "hosts: [a.example.com], ports: [{name: http, number: 80, protocol: HTTP}]", older),
      external("b", "hosts: [A.example.com], ports: [{name: http, number: 80, protocol: HTTP}]", newer),
    ),
    where: "ServiceEntry prod/b spec.hosts[0]",
    message: /ServiceEntry prod\/a defines it too and comes first/,
    good: all(
      external("a", "hosts: [a.example.com], ports: [{name: http, number: 80, protocol: HTTP}]", older),
      external("b", "hosts: [b.example.com], ports: [{name: http, number: 80, protocol: HTTP}]", newer),
    ),
  },
  {
    code: "HDL0303",
    bad: external("a", "hosts: [reviews.prod.svc.cluster.local], ports: [{name: http, number: 80, protocol: HTTP}]"),
    where: "ServiceEntry prod/a spec.hosts[0]",
    message: /is the host of Service prod\/reviews too/,
    good: external("a", "hosts: [reviews.example.com], ports: [{name: http, number: 80, protocol: HTTP}]"),
  },
  {
    code: "HDL0401",
    bad: sidecar("a", "{workloadSelector: {labels: {app: review}}, egress: [{hosts: ['./*']}]}"),
    where: "Sidecar prod/a spec.workloadSelector.labels",
    message: /"app=review" selects no pod of namespace prod/,
    good: sidecar("a", "{workloadSelector: {labels: {app: reviews}}, egress: [{hosts: ['./*']}]}"),
  },
  {
    code: "HDL0402",
    bad: all(
      sidecar("a", "{workloadSelector: {labels: {app: reviews}}, egress: [{hosts: ['./*']}]}", older),
      sidecar("b", "{workloadSelector: {labels: {version: v1}}, egress: [{hosts: ['./*']}]}", newer),
    ),
    where: "Sidecar prod/b spec.workloadSelector.labels",
    message: /Deployment reviews: Sidecar prod\/a selects the same/,
    good: all(
      sidecar("a", "{workloadSelector: {labels: {app: reviews}}, egress: [{hosts: ['./*']}]}", older),
      sidecar("b", "{workloadSelector: {labels: {app: db}}, egress: [{hosts: ['./*']}]}", newer),
    ),
  },
  {
    code: "HDL0403",
    bad: sidecar("a", "{egress: [{hosts: ['./*', 'prod/reviews']}]}"),
    where: "Sidecar prod/a spec.egress[0].hosts[1]",
    message: /write prod\/reviews\.prod\.svc\.cluster\.local$/,
    good: sidecar("a", "{egress: [{hosts: ['./*', 'prod/reviews.prod.svc.cluster.local', '*/*.cluster.local']}]}"),
  },
  {
    code: "HDL0404",
    bad: virtualService("a", `{hosts: [reviews], exportTo: [., shops], http: [{${toReviews}}]}`),
    where: "VirtualService prod/a spec.exportTo[1]",
    message: /"shops": there is no such namespace/,
    good: virtualService("a", `{hosts: [reviews], exportTo: [., shop], http: [{${toReviews}}]}`),
  },
  {
    code: "HDL0405",
    bad: "{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {namespace: istio-system, name: a}, spec: {selector: {matchLabels: {app: reviews}}, mtls: {mode: STRICT}}}",
    where: "PeerAuthentication istio-system/a spec.selector.matchLabels",
    message: /"app=reviews": in the root namespace istio-system nothing is selected/,
    good: peerAuthentication("a", "{selector: {matchLabels: {app: reviews}}, mtls: {mode: STRICT}}"),
  },
  {
    code: "HDL0406",
    bad: all(
      peerAuthentication("a", "{mtls: {mode: STRICT}}", older),
      peerAuthentication("b", "{mtls: {mode: DISABLE}}", newer),
    ),
    where: "PeerAuthentication prod/b spec.selector",
    message: /PeerAuthentication prod\/a without one is taken for the namespace/,
    good: all(
      peerAuthentication("a", "{mtls: {mode: STRICT}}", older),
      peerAuthentication("b", "{selector: {matchLabels: {app: reviews}}, mtls: {mode: DISABLE}}", newer),
    ),
  },
  {
    code: "HDL0630",
    bad: all(
      requestAuthentication("a", "{jwtRules: [{issuer: 'https://a.b', outputPayloadToHeader: X-Jwt}]}"),
      requestAuthentication("b", "{jwtRules: [{issuer: 'https://c.d', fromHeaders: [{name: x-jwt}]}]}"),
    ),
    where: "RequestAuthentication prod/a spec.jwtRules[0].outputPayloadToHeader",
    message: /"x-jwt": RequestAuthentication prod\/b takes tokens from a header of this name/,
    good: all(
      requestAuthentication("a", "{jwtRules: [{issuer: 'https://a.b', outputPayloadToHeader: x-claims}]}"),
      requestAuthentication("b", "{jwtRules: [{issuer: 'https://c.d', fromHeaders: [{name: x-jwt}]}]}"),
    ),
  },
  {
    code: "HDL0631",
    bad: all(
      requestAuthentication("a", "{jwtRules: [{issuer: 'https://a.b'}], selector: {matchLabels: {app: reviews}}}"),
      authorizationPolicy(
        "a",
        "{rules: [{from: [{source: {requestPrincipals: ['*']}}]}], selector: {matchLabels: {app: db}}}",
      ),
      authorizationPolicy("b", "{rules: [{to: [{operation: {methods: [GET]}}]}]}"),
    ),
    where: "RequestAuthentication prod/a spec.jwtRules",
    message: /requests without a token pass/,
    good: all(
      requestAuthentication("a", "{jwtRules: [{issuer: 'https://a.b'}], selector: {matchLabels: {app: reviews}}}"),
      authorizationPolicy("b", "{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}"),
    ),
  },
  {
    code: "HDL0650",
    bad: all(telemetry("a", "{metrics: []}", older), telemetry("b", "{accessLogging: []}", newer)),
    where: "Telemetry prod/b spec.selector",
    message: /Telemetry prod\/a without one is taken for the namespace/,
    good: all(
      telemetry("a", "{metrics: []}", older),
      telemetry("b", "{selector: {matchLabels: {app: reviews}}, accessLogging: []}", newer),
    ),
  },
  {
    code: "HDL0501",
    bad: service("web", "{selector: {app: other}, ports: [{name: web, port: 80}]}"),
    where: "Service prod/web spec.ports[0].name",
    message: /port 80 \("web"\) declares no protocol/,
    good: service(
      "web",
      "{selector: {app: other}, ports: [{name: http-web, port: 80}, {name: dns, port: 53, protocol: UDP}]}",
    ),
  },
  {
    code: "HDL0502",
    bad: service("web", "{selector: {app: other}, ports: [{name: tcp-web, port: 80, appProtocol: http}]}"),
    where: "Service prod/web spec.ports[0].appProtocol",
    message: /"http" is http, and the name "tcp-web" says tcp/,
    good: service("web", "{selector: {app: other}, ports: [{name: http-web, port: 80, appProtocol: http}]}"),
  },
  {
    code: "HDL0503",
    bad: service("web", "{selector: {app: reviews}, ports: [{name: tcp, port: 81, targetPort: web}]}"),
    where: "Service prod/web spec.ports[0]",
    message: /port 8080 of Deployment reviews is tcp here and http in Service prod\/reviews/,
    good: service("web", "{selector: {app: reviews}, ports: [{name: http, port: 81, targetPort: web}]}"),
  },
  {
    code: "HDL0504",
    bad: pod("phase: Running"),
    where: "Pod prod/reviews-1 spec.containers",
    message: /there is no istio-proxy, though namespace prod asks for sidecars/,
    good: pod("phase: Running", 'app: reviews, version: v1, "security.istio.io/tlsMode": istio'),
  },
  {
    code: "HDL0601",
    bad: authorizationPolicy("a", "{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}"),
    where: "AuthorizationPolicy prod/a spec.rules[0]",
    message: /TCP port 5432 of Deployment db has no HTTP: the rule matches without those fields/,
    good: authorizationPolicy("a", '{action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ["8080"]}}]}]}'),
  },
  {
    code: "HDL0602",
    bad: authorizationPolicy("a", "{rules: [{from: [{source: {notNamespaces: [dev]}}]}]}"),
    where: "AuthorizationPolicy prod/a spec.rules[0].from[0].source.notNamespaces",
    message: /Deployment reviews, Deployment db: callers in plaintext have no identity and are let in/,
    good: all(
      peerAuthentication("strict", "{mtls: {mode: STRICT}}"),
      authorizationPolicy("a", "{rules: [{from: [{source: {notNamespaces: [dev]}}]}]}"),
    ),
  },
  {
    code: "HDL0603",
    bad: authorizationPolicy("a", "{action: CUSTOM, provider: {name: tracing}, rules: [{}]}"),
    where: "AuthorizationPolicy prod/a spec.provider.name",
    message: /"tracing": extensionProviders have no such authorizer/,
    good: authorizationPolicy("a", "{action: CUSTOM, provider: {name: grpc}, rules: [{}]}"),
  },
  {
    code: "HDL0604",
    bad: all(
      authorizationPolicy("a", "{action: CUSTOM, provider: {name: grpc}, rules: [{}]}"),
      authorizationPolicy(
        "b",
        "{selector: {matchLabels: {app: db}}, action: CUSTOM, provider: {name: http}, rules: [{}]}",
      ),
    ),
    where: "AuthorizationPolicy prod/b spec.provider.name",
    message: /AuthorizationPolicy prod\/a has another provider for the same workloads/,
    good: all(
      authorizationPolicy(
        "a",
        "{selector: {matchLabels: {app: reviews}}, action: CUSTOM, provider: {name: grpc}, rules: [{}]}",
      ),
      authorizationPolicy(
        "b",
        "{selector: {matchLabels: {app: db}}, action: CUSTOM, provider: {name: http}, rules: [{}]}",
      ),
    ),
  },
  {
    code: "HDL0605",
    bad: authorizationPolicy("a", "{action: CUSTOM, provider: {name: gone}, rules: [{}]}"),
    where: "AuthorizationPolicy prod/a spec.provider.name",
    message: /no service gone\.prod\.svc\.cluster\.local with port 80 is in the mesh/,
    good: authorizationPolicy("a", "{action: CUSTOM, provider: {name: grpc}, rules: [{}]}"),
  },
  {
    code: "HDL0606",
    bad: authorizationPolicy("a", "{action: CUSTOM, provider: {name: http}, rules: [{}]}"),
    where: "AuthorizationPolicy prod/a spec.rules[0]",
    message: /TCP port 5432 of Deployment db: "http" cannot be asked/,
    good: authorizationPolicy(
      "a",
      '{action: CUSTOM, provider: {name: http}, rules: [{to: [{operation: {ports: ["8080"]}}]}]}',
    ),
  },
];
