import { type Context, labelsOf, type Manifest, namespace } from "./context.js";

const configMap = (
  context: Context,
  name: string,
  data: Readonly<Record<string, string>>,
): Manifest & { readonly data: typeof data } => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: `${name}${context.suffix}`, namespace, labels: labelsOf(context) },
  data,
});

/** `mesh`: Istio's MeshConfig, in JSON; `issuerAuthorities`: certificates in PEM. */
export const meshConfiguration = (context: Context) =>
  configMap(context, "istio", {
    mesh: context.embed(context.values.meshConfig),
    issuerAuthorities: context.values.controlPlane.issuerAuthorities,
  });

/**
 * `values`: the injection's defaults, in JSON of the shape of InjectionValues; `config`: the injection template, nothing
 * for the built-in one; `overlays`: RFC 6902 operations on the template.
 */
export const injectionConfiguration = (context: Context) => {
  const { values } = context;
  const image = `${values.hub}/proxyv2:${values.tag}`;
  return configMap(context, "istio-sidecar-injector", {
    values: context.embed({
      proxyImage: image,
      initImage: image,
      imagePullPolicy: values.imagePullPolicy,
      imagePullSecrets: values.imagePullSecrets,
      resources: values.proxy.resources,
      initResources: values.proxy.initResources,
      logLevel: values.proxy.logLevel,
    }),
    config: values.injection.template,
    overlays: values.injection.overlays,
  });
};
