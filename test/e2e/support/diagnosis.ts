import type { Mesh } from "./mesh.ts";

const attempts: readonly (readonly string[])[] = [
  ["get", "pods", "-A", "-o", "wide"],
  ["get", "events", "-A", "--field-selector=type=Warning", "--sort-by=.lastTimestamp"],
  ["logs", "-n", "istio-system", "-l", "app=heddled", "--tail=60", "--all-containers"],
];

const tail = (text: string, lines: number): string => text.trimEnd().split("\n").slice(-lines).join("\n");

const sidecarOf = (mesh: Mesh, inNamespace: string, pod: string): Promise<string> =>
  mesh.kubectl("logs", "-n", inNamespace, pod, "-c", "istio-proxy", "--tail=15").catch((error: Error) => error.message);

/** What one looks at first when a test on the cluster fails: pods, warnings, the control plane's and sidecars' last lines. */
export const diagnose = async (mesh: Mesh, inNamespace: string): Promise<string> => {
  const parts: string[] = [];
  for (const words of attempts)
    parts.push(`$ kubectl ${words.join(" ")}\n${tail(await mesh.kubectl(...words).catch(String), 60)}`);
  const listed = await mesh.kubectl("get", "pods", "-n", inNamespace, "-o", "name").catch(() => "");
  for (const pod of listed
    .split("\n")
    .filter((line) => line !== "")
    .slice(0, 4))
    parts.push(`${pod} istio-proxy:\n${await sidecarOf(mesh, inNamespace, pod)}`);
  return parts.join("\n\n");
};
