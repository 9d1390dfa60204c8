import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { projectFolder } from "../../../src/cli/run/machine.js";
import { type Mesh, type Report, type Response, startMesh } from "../support/mesh.js";

const folderOf = (sample: string): string => join(projectFolder, "deploy/samples", sample);

/** A file of a sample, such as `switch/green.yaml`. */
export const sampleFile = (sample: string, file: string): string => readFileSync(join(folderOf(sample), file), "utf8");

/** Everything that `kubectl apply -f` of the sample's folder applies, on real proxies. */
export const startSample = (sample: string): Promise<Mesh> => {
  const files = readdirSync(folderOf(sample)).filter((name) => name.endsWith(".yaml"));
  return startMesh({ yaml: files.map((file) => sampleFile(sample, file)).join("\n---\n") });
};

/** What the sample application says of itself and of what arrived, also in an answer that it made to fail. */
export const told = ({ status, body, error }: Response): Report => {
  try {
    return JSON.parse(body) as Report;
  } catch {
    throw new Error(`the application has not answered: ${status} ${error ?? body}`);
  }
};

/** How many answers there were of each status and version, as `200 v1`; one that no application gave has no version. */
export const tally = (responses: readonly Response[]): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const response of responses) {
    const isReport = response.body.startsWith("{");
    const key = `${response.status}${isReport ? ` ${told(response).version}` : ""}${response.error ?? ""}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
};

/** Requests that a pod's application has seen, by Host. */
export const seenBy = async (mesh: Mesh, pod: string): Promise<Readonly<Record<string, number>>> => {
  const [answer] = await mesh.call(pod, "http://127.0.0.1:8080/seen");
  return JSON.parse(answer?.body ?? "{}") as Record<string, number>;
};

/** Standard deviations to either side that leave out one try in 10,000. */
const deviations = 3.89;

/**
 * The counts that `count` independent requests give, each with probability `share`, in 9,999 of 10,000 tries: a normal
 * approximation, which count × share above 100 allows.
 */
export const interval = (count: number, share: number): readonly [number, number] => {
  const spread = deviations * Math.sqrt(count * share * (1 - share));
  return [Math.floor(count * share - spread), Math.ceil(count * share + spread)];
};

/** Asserts that a share is what it should be; by chance alone this fails once in 10,000 times. */
export const assertShare = (what: string, seen: number, count: number, share: number): void => {
  const [least, most] = interval(count, share);
  assert.ok(
    seen >= least && seen <= most,
    `${what}: ${seen} of ${count}, and ${share * 100} % are ${least} to ${most} with 99.99 % confidence`,
  );
};
