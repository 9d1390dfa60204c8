import { type Static, type TProperties, Type } from "typebox";

/** A message of the API: no other fields than these. */
export const message = <Properties extends TProperties>(
  properties: Properties,
  description: string,
  options: Readonly<Record<string, unknown>> = {},
) => Type.Object(properties, { additionalProperties: false, description, ...options });

export const strings = (description: string) => Type.Array(Type.String(), { description });

/** Several fields of which one at most may be set; the API server checks it. */
export const atMostOne = (names: readonly string[]) => ({
  "x-kubernetes-validations": [
    {
      rule: `${names.map((name) => `(has(self.${name}) ? 1 : 0)`).join(" + ")} <= 1`,
      message: `at most one of ${names.join(", ")} may be set`,
    },
  ],
});

export const stringMatch = (description: string) =>
  message(
    {
      exact: Type.Optional(Type.String({ description: "The whole value, letter case included." })),
      prefix: Type.Optional(Type.String({ description: "What the value begins with, letter case included." })),
      regex: Type.Optional(
        Type.String({ description: "A regular expression in RE2 syntax that the whole value must fit." }),
      ),
    },
    description,
    { maxProperties: 1 },
  );

export const stringMatches = (description: string) =>
  Type.Record(Type.String(), stringMatch("How the value is compared; left empty, it need only be present."), {
    description,
  });

export const destination = (description: string) =>
  message(
    {
      host: Type.String({
        description:
          "Host of a Service or ServiceEntry. A name without a dot is of the namespace of this resource, not of the caller's.",
      }),
      subset: Type.Optional(
        Type.String({
          description: "Name of a subset that the host's DestinationRule defines; all endpoints if unset.",
        }),
      ),
      port: Type.Optional(
        message(
          { number: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535, description: "Number of the port." })) },
          "Port of the host; may be left out if it has one only, or one of the number that the caller used.",
        ),
      ),
    },
    description,
  );

export const percent = (description: string) =>
  message(
    {
      value: Type.Optional(
        Type.Number({ minimum: 0, maximum: 100, description: "Percentage from 0.0 to 100.0, to 0.0001 exactly." }),
      ),
    },
    description,
  );

export const weight = () =>
  Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 2147483647,
      description:
        "Share of the traffic, relative to the sum of all destinations' weights. 0 takes none. Of no meaning for a single destination.",
    }),
  );

export const port = () =>
  Type.Optional(
    Type.Integer({ minimum: 0, maximum: 65535, description: "Port of the host that the caller addresses." }),
  );

export const sourceLabels = () =>
  Type.Optional(
    Type.Record(Type.String(), Type.String(), { description: "Labels that the calling workload's pod must carry." }),
  );
export const sourceNamespace = () =>
  Type.Optional(Type.String({ description: "Namespace that the calling workload must be of." }));
export const matchGateways = () =>
  Type.Optional(
    strings(
      "Gateways among those of the resource that this match holds for; `mesh` stands for the sidecars. All if unset.",
    ),
  );

export type StringMatch = Static<ReturnType<typeof stringMatch>>;
export type Destination = Static<ReturnType<typeof destination>>;
export type Percent = Static<ReturnType<typeof percent>>;
