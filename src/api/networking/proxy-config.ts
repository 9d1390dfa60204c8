import { type Static, Type } from "typebox";
import { error, errorIf, member, show, warning } from "../findings.js";
import { type ConfigObject, defineKind } from "../kind.js";
import { checkSelector } from "../names.js";
import { podSelector } from "../selector.js";
import { networkingGroup } from "./group.js";

const closed = { additionalProperties: false } as const;

const spec = Type.Object(
  {
    selector: Type.Optional(
      podSelector(
        256,
        "The pods that these settings are for; all of the namespace if unset, of the mesh in its root namespace.",
      ),
    ),
    concurrency: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1024,
        nullable: true,
        description: "Worker threads of the proxy; 0 means one for each core of the node.",
      }),
    ),
    environmentVariables: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 2048 }), {
        maxProperties: 256,
        description: "Further environment variables of the proxy's container.",
      }),
    ),
    image: Type.Optional(
      Type.Object(
        {
          imageType: Type.Optional(
            Type.String({
              maxLength: 63,
              description:
                "Variant of the proxy's image: what its tag ends in after a dash, such as debug or distroless.",
            }),
          ),
        },
        { ...closed, description: "The proxy's image." },
      ),
    ),
  },
  closed,
);

export type ProxyConfigSpec = Static<typeof spec>;
export type ProxyConfig = ConfigObject<ProxyConfigSpec>;

const imageTypeFault = (type: string): string | undefined =>
  /^\w[\w.-]{0,62}$/.test(type)
    ? undefined
    : `${show(type)} cannot end an image's tag; use letters, digits, ".", "_" and "-"`;

export const proxyConfig = defineKind({
  kind: "ProxyConfig",
  group: networkingGroup,
  plural: "proxyconfigs",
  shortNames: [],
  versions: ["v1beta1"],
  description:
    "Settings of the proxies of some workloads. They take effect when a pod is made: restart pods that exist already.",
  spec,
  rules: [],
  printerColumns: [],
  check: ({ spec: { selector, concurrency, environmentVariables = {}, image } }) => [
    ...checkSelector("spec.selector", selector, "matchLabels"),
    ...Object.keys(environmentVariables).flatMap((name) =>
      /^[A-Za-z_.-][\w.-]*$/.test(name)
        ? []
        : [
            error(
              member("spec.environmentVariables", name),
              `${show(name)} is no name of an environment variable; use letters, digits, "_", "-" and "."`,
            ),
          ],
    ),
    ...(image?.imageType === undefined || image.imageType === ""
      ? []
      : errorIf("spec.image.imageType", imageTypeFault(image.imageType))),
    ...(concurrency === undefined && Object.keys(environmentVariables).length === 0 && image?.imageType === undefined
      ? [warning("spec", "sets nothing; give concurrency, environmentVariables or image.imageType")]
      : []),
  ],
});
