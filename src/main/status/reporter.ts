import type { Condition } from "../../api/kind.js";
import type { ConfigurationKind } from "../../api/kinds.js";
import type { Judgement, RemovedResource } from "../../api/last-good.js";
import type { Compiler } from "../../compile/compiler.js";
import { analysisOf } from "../analyse.js";
import { affectedBy } from "./affected.js";
import { concerns } from "./concerns.js";
import { conditionsOf, conditionsToWrite } from "./conditions.js";
import type { ProxyTracker } from "./distribution.js";
import { findingsAmong } from "./findings.js";
import { keysVerdict } from "./keys.js";
import type { Nack } from "./nack.js";
import { createRejections } from "./rejections.js";

/** What is to be written over the status of a resource. */
export interface ResourceStatus {
  readonly kind: ConfigurationKind;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
  readonly conditions: readonly Condition[];
}

export interface StatusReporterOptions {
  readonly compiler: Compiler;
  readonly tracker: ProxyTracker;
  /** Told when a status is to be another; it is told again later as long as nobody says that it was written. */
  readonly changed: (status: ResourceStatus) => void;
  /** An EnvoyFilter went into quarantine. */
  readonly quarantined?: (key: string, nack: Nack) => void;
  readonly failed: (error: Error) => void;
  /** From a change until its status is looked at. */
  readonly settleMilliseconds?: number;
  /** Between looks at what is pending or rejected. */
  readonly pollMilliseconds?: number;
  /** Between looks at everything. */
  readonly sweepMilliseconds?: number;
}

export interface StatusReporter {
  readonly judged: (judgements: readonly Judgement[], removed: readonly RemovedResource[]) => void;
  readonly nacked: (nack: Nack) => void;
  /** The status was written, and is what later ones are compared with. */
  readonly written: (status: ResourceStatus) => void;
  /** Looks at everything now, for one who is about to tell of it; takes as long as it takes. */
  readonly flush: () => void;
  /** Looks at everything soon. */
  readonly sweep: () => void;
  readonly stop: () => void;
}

interface ResourceRecord {
  readonly kind: ConfigurationKind;
  readonly key: string;
  judgement: Judgement;
  /** Of the snapshot that brought it in its present form. */
  version: number;
  conditions: readonly Condition[];
  /** Some proxies do not hold it yet, or reject it. */
  isOpen: boolean;
}

const sliceMilliseconds = 4;

/** Follows every resource of the configuration API and tells what its status is to be, in slices that hold up nobody. */
export const createStatusReporter = (options: StatusReporterOptions): StatusReporter => {
  const { compiler, tracker } = options;
  const records = new Map<string, ResourceRecord>();
  const dirty = new Set<string>();
  const arrived = new Set<string>();
  let before = compiler.snapshot();
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const idOf = (kind: ConfigurationKind, key: string): string => `${kind}/${key}`;

  const rejections = createRejections({
    compiler,
    tracker,
    resources: () => records.values(),
    ...(options.quarantined === undefined ? {} : { quarantined: options.quarantined }),
  });

  const evaluate = (record: ResourceRecord, analyse: ReturnType<typeof analysisOf>): void => {
    const { kind, key, judgement, version } = record;
    const snapshot = compiler.snapshot();
    const concerned = judgement.inForce === "judged" ? concerns(snapshot, kind, key) : undefined;
    const distribution = concerned && tracker.count(version, concerned);
    const rejection = rejections.of(kind, key);
    const among = findingsAmong(snapshot, analyse, kind, key);
    record.isOpen = rejection !== undefined || (distribution !== undefined && distribution.held < distribution.proxies);
    const conditions = conditionsToWrite(
      record.conditions,
      conditionsOf({
        ...{ generation: judgement.generation, rejection, distribution },
        inForce: among.isClosed === true && judgement.inForce === "judged" ? "closed" : judgement.inForce,
        generationInForce: judgement.generationInForce,
        findings: [...judgement.findings, ...among.findings],
        conflicts: among.conflicts,
        keys: keysVerdict(snapshot, kind, key),
      }),
      new Date().toISOString().replace(/\.\d+Z$/, "Z"),
    );
    const { namespace, name, uid } = judgement;
    if (conditions !== undefined) options.changed({ kind, namespace, name, uid, conditions });
  };

  const run = (analyse = analysisOf(compiler.snapshot()), milliseconds = sliceMilliseconds): void => {
    timer = undefined;
    const end = performance.now() + milliseconds;
    for (const id of dirty) {
      if (isStopped) return;
      dirty.delete(id);
      const record = records.get(id);
      try {
        if (record !== undefined) evaluate(record, analyse);
      } catch (error) {
        options.failed(error as Error);
      }
      if (performance.now() < end || dirty.size === 0) continue;
      timer = setTimeout(() => run(analyse), 0);
      return;
    }
  };

  const schedule = (): void => {
    if (timer === undefined && dirty.size > 0 && !isStopped)
      timer = setTimeout(() => run(), options.settleMilliseconds ?? 250).unref();
  };

  const stopListening = compiler.onApplied((diff) => {
    const snapshot = compiler.snapshot();
    for (const id of arrived) {
      const record = records.get(id);
      if (record !== undefined) record.version = snapshot.version;
    }
    arrived.clear();
    for (const [kind, key] of affectedBy(before, snapshot, diff)) dirty.add(idOf(kind, key));
    before = snapshot;
    schedule();
  });

  const sweep = (): void => {
    for (const id of records.keys()) dirty.add(id);
    schedule();
  };
  const sweeping = setInterval(sweep, options.sweepMilliseconds ?? 60_000).unref();
  const polling = setInterval(() => {
    for (const [id, { isOpen }] of records) if (isOpen) dirty.add(id);
    schedule();
  }, options.pollMilliseconds ?? 1000).unref();

  return {
    judged: (judgements, removed) => {
      for (const { kind, namespace, name } of removed) {
        const key = `${namespace}/${name}`;
        records.delete(idOf(kind, key));
        rejections.forget(kind, key);
      }
      for (const judgement of judgements) {
        const { kind, namespace, name, conditions, isRepeated } = judgement;
        const key = `${namespace}/${name}`;
        const id = idOf(kind, key);
        const known = records.get(id);
        if (known === undefined) records.set(id, { kind, key, judgement, conditions, version: 0, isOpen: false });
        else Object.assign(known, { judgement, conditions });
        dirty.add(id);
        if (isRepeated) continue;
        arrived.add(id);
        rejections.forget(kind, key);
      }
      schedule();
    },
    nacked: (nack) => {
      for (const [kind, key] of rejections.nacked(nack)) dirty.add(idOf(kind, key));
      schedule();
    },
    written: ({ kind, namespace, name, conditions }) => {
      const record = records.get(idOf(kind, `${namespace}/${name}`));
      if (record !== undefined) record.conditions = conditions;
    },
    sweep,
    flush: () => {
      clearTimeout(timer);
      for (const id of records.keys()) dirty.add(id);
      run(analysisOf(compiler.snapshot()), Number.POSITIVE_INFINITY);
    },
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
      clearInterval(sweeping);
      clearInterval(polling);
      stopListening();
    },
  };
};
