import type { AuthorizationPolicy, Condition, Operation, Rule, Source } from "./types.js";

/** Policies with one thing taken out, and what that was: `source.principals`, `when.remote.ip`, `rule`, … */
export interface Reduction {
  readonly what: string;
  readonly policies: readonly AuthorizationPolicy[];
}

interface Step<Shape> {
  readonly what: string;
  readonly result: Shape | undefined;
}

/** The list with each element in turn replaced by what `inner` makes of it, or taken out. */
const ofList = <Element>(
  list: readonly Element[],
  name: string,
  inner: (element: Element) => readonly Step<Element>[],
): readonly Step<readonly Element[]>[] =>
  list.flatMap((element, index) => [
    { what: name, result: list.toSpliced(index, 1) },
    ...inner(element).map(({ what, result }) => ({
      what,
      result: result === undefined ? list.toSpliced(index, 1) : list.toSpliced(index, 1, result),
    })),
  ]);

type Lists = Readonly<Record<string, readonly string[] | undefined>>;

/** Undefined where nothing would be left: an empty source or operation is none. */
const ofFields = <Shape extends object>(shape: Shape, prefix: string): readonly Step<Shape>[] =>
  Object.entries(shape as Lists).flatMap(([field, values = []]) => {
    const others = Object.fromEntries(Object.entries(shape).filter(([name]) => name !== field)) as Shape;
    return [
      { what: `${prefix}.${field}`, result: Object.keys(others).length === 0 ? undefined : others },
      ...(values.length < 2 ? [] : values).map((_, index) => ({
        what: "value",
        result: { ...shape, [field]: values.toSpliced(index, 1) },
      })),
    ];
  });

/** `request.headers[x]` counts as `request.headers`. */
const keyName = (key: string): string => `when.${key.replace(/\[.*/, "")}`;

const ofCondition = ({ key, ...lists }: Condition): readonly Step<Condition>[] =>
  ofFields<Omit<Condition, "key">>(lists, keyName(key)).map(({ what, result }) => ({
    what,
    result: result === undefined ? undefined : { key, ...result },
  }));

const withList = <Field extends keyof Rule>(rule: Rule, field: Field, list: Rule[Field]): Rule => {
  const { [field]: _, ...others } = rule;
  return list === undefined || list.length === 0 ? (others as Rule) : { ...rule, [field]: list };
};

const ofRule = (rule: Rule): readonly Step<Rule>[] => [
  ...ofList(rule.from ?? [], "from", ({ source }) =>
    ofFields<Source>(source, "source").map(({ what, result }) => ({
      what,
      result: result === undefined ? undefined : { source: result },
    })),
  ).map(({ what, result }) => ({ what, result: withList(rule, "from", result) })),
  ...ofList(rule.to ?? [], "to", ({ operation }) =>
    ofFields<Operation>(operation, "operation").map(({ what, result }) => ({
      what,
      result: result === undefined ? undefined : { operation: result },
    })),
  ).map(({ what, result }) => ({ what, result: withList(rule, "to", result) })),
  ...ofList(rule.when ?? [], "when", ofCondition).map(({ what, result }) => ({
    what,
    result: withList(rule, "when", result),
  })),
];

const ofPolicy = (policy: AuthorizationPolicy): readonly Step<AuthorizationPolicy>[] => {
  const { metadata, spec } = policy;
  const { annotations, ...bare } = metadata;
  const { selector, targetRefs, ...rest } = spec;
  return [
    ...(annotations === undefined ? [] : [{ what: "annotations", result: { metadata: bare, spec } }]),
    ...(selector === undefined ? [] : [{ what: "selector", result: { metadata, spec: { ...rest } } }]),
    ...(targetRefs === undefined ? [] : [{ what: "targetRefs", result: { metadata, spec: { ...rest } } }]),
    ...ofList(spec.rules ?? [], "rule", ofRule).map(({ what, result }) => ({
      what,
      result: { metadata, spec: { ...spec, rules: result ?? [] } },
    })),
  ];
};

/** All that is smaller by one step. */
export const reductionsOf = (policies: readonly AuthorizationPolicy[]): readonly Reduction[] =>
  ofList(policies, "policy", ofPolicy).map(({ what, result }) => ({ what, policies: result ?? [] }));
