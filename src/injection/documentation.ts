import { annotations, withoutEffect, written } from "./annotations.js";
import { proxyConfigFields } from "./proxy-config.js";
import { templateValues } from "./template.js";

const cell = (text: string): string => text.replaceAll("|", "\\|");
const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
const table = (heads: readonly string[], rows: readonly string[]): string =>
  [row(...heads), `|${heads.map(() => "---").join("|")}|`, ...rows].join("\n");

/** docs/annotations.md, made from the tables that injection itself uses. */
export const annotationsDocument = (): string =>
  [
    "# Annotations of a pod",
    "A pod's template carries them, not its Deployment. A value that is wrong refuses the pod, with the annotation's name, the value and the cure. Lists are separated by commas. What a pod needs beyond them it can say in a container `istio-proxy` of its own with `image: auto`, which is merged with the template's field by field, and wins.",
    table(
      ["annotation", "without it", "meaning", "values"],
      Object.values(annotations).map(({ name, default: without, description, cure }) =>
        row(`\`${name}\``, without || "–", description, cure),
      ),
    ),
    "## Fields of `proxy.istio.io/config`",
    "A YAML object. It wins over the mesh's `defaultConfig`, field by field. Any other field refuses the pod.",
    table(
      ["field", "meaning"],
      [...proxyConfigFields].map(([field, { description }]) => row(`\`${field}\``, description)),
    ),
    "## Istio's annotations without effect",
    "They are accepted with a warning.",
    table(
      ["annotation", "why"],
      [...withoutEffect].map(([name, why]) => row(`\`${name}\``, why)),
    ),
    "## Annotations that injection writes",
    table(
      ["annotation", "holds"],
      [
        row(`\`${written.status}\``, "names of what was added, and the revision"),
        row(`\`${written.overrides}\``, "the pod's own `istio-proxy` and `istio-init` containers, as they were"),
        row(
          `\`${written.originals}\``,
          "the containers' own probes and hooks, as they were before they were rewritten",
        ),
      ],
    ),
    "With these, injecting an injected pod first undoes the earlier injection and then gives the same pod.",
    "## How it behaves",
    "- The proxy is an ordinary container after the pod's own. It is a native sidecar (an init container with `restartPolicy: Always`) in a pod of a Job or one with another `restartPolicy` than `Always`, since an ordinary sidecar would keep a finished pod alive; with `holdApplicationUntilProxyStarts`; with an HTTP `postStart` hook or an init container's startup probe, which come before ordinary containers are up; and on request. Kubernetes 1.30 or later is needed, for native sidecars and the sleep before the proxy stops.\n- `hostNetwork` and Windows pods get no sidecar. Ephemeral containers stay as they are.\n- `istio-init` needs `NET_ADMIN`. A namespace that enforces the Pod Security level `baseline` or `restricted` is refused; a CNI plugin that does without is planned.\n- No `fsGroup` is set: the proxy can read its token without one, and volumes of the application keep their owners.\n- On OpenShift the proxy runs as the last id of the namespace's `openshift.io/sa.scc.uid-range`.",
    "## Values of the template",
    "`templates/sidecar.yaml`, or the operator's own in the ConfigMap `istio-sidecar-injector`, uses these as a dollar sign and the name in braces.",
    table(
      ["name", "holds"],
      Object.entries(templateValues).map(([name, what]) => row(`\`${name}\``, what)),
    ),
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
