import { type TSchema, Type } from "typebox";
import type { Finding } from "../api/kind.js";
import { createSchemaCheck } from "../api/schema-findings.js";

const text = Type.Optional(Type.String());
const texts = Type.Optional(Type.Record(Type.String(), Type.String()));
const list = (items: TSchema) => Type.Optional(Type.Array(items));
const whole = Type.Optional(Type.Integer());
const isSet = Type.Optional(Type.Boolean());

const metadata = Type.Optional(Type.Object({ labels: texts, annotations: texts }));
const container = Type.Object({ name: text, ports: list(Type.Object({ name: text, containerPort: whole })) });
const podSpec = Type.Object({
  containers: list(container),
  initContainers: list(container),
  hostNetwork: isSet,
  os: Type.Optional(Type.Object({ name: text })),
});
const pod = Type.Object({ metadata, spec: Type.Optional(podSpec) });

const servicePort = Type.Object({
  name: text,
  port: Type.Integer(),
  protocol: text,
  appProtocol: text,
  targetPort: Type.Optional(Type.Union([Type.Integer(), Type.String()])),
});
const service = Type.Object({
  metadata,
  spec: Type.Optional(
    Type.Object({
      type: text,
      clusterIP: text,
      clusterIPs: list(Type.String()),
      externalName: text,
      selector: texts,
      sessionAffinity: text,
      trafficDistribution: text,
      ports: list(servicePort),
    }),
  ),
});

const checks = {
  Namespace: createSchemaCheck(Type.Object({ metadata })),
  Service: createSchemaCheck(service),
  Pod: createSchemaCheck(pod),
} as const;

export type CoreKind = keyof typeof checks;

export const isCoreKind = (kind: string): kind is CoreKind => Object.hasOwn(checks, kind);

/** As the API server reads it: a null is a field that is not set. Items of lists stay. */
const withoutNulls = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([field, item]) => (item === null ? [] : [[field, withoutNulls(item)]])),
  );
};

/** A core object as analysis may take it, or what is wrong with the fields that it reads. `path` is where it stands. */
export const readCore = (
  kind: CoreKind,
  value: unknown,
  path: string,
): { readonly object: unknown } | { readonly findings: readonly Finding[] } => {
  const object = withoutNulls(value);
  const findings = checks[kind](object, path);
  return findings.length === 0 ? { object } : { findings };
};
