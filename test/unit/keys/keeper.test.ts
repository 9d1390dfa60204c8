import { test } from "uvu";
import * as assert from "uvu/assert";
import type { KeySet } from "../../../src/api/security/key-set.js";
import { DownloadError } from "../../../src/keys/download.js";
import type { FetchedKeys } from "../../../src/keys/fetch-keys.js";
import { createKeyKeeper, type KeyCounts, type WantedKeys } from "../../../src/keys/keeper.js";

const wanted = (...names: readonly string[]): ReadonlyMap<string, WantedKeys> =>
  new Map(
    names.map((id) => [
      id,
      { source: { from: "jwks" as const, id, url: `https://${id}/`, issuer: id }, timeoutMilliseconds: 1000 },
    ]),
  );

interface Asked {
  readonly id: string;
  readonly etag: string | undefined;
  readonly signal: AbortSignal;
  readonly answer: PromiseWithResolvers<FetchedKeys>;
}

/** A keeper whose fetches the test answers. */
const keeping = (rest: object = {}) => {
  const asked: Asked[] = [];
  const told: (readonly [id: string, keys: KeySet | undefined])[] = [];
  const counts: KeyCounts[] = [];
  const failures: string[] = [];
  const keeper = createKeyKeeper({
    fetch: ({ source }, etag, signal) => {
      const answer = Promise.withResolvers<FetchedKeys>();
      asked.push({ id: source.id, etag, signal, answer });
      return answer.promise;
    },
    changed: (id, keys) => told.push([id, keys]),
    fetched: (_, each) => counts.push(each),
    failed: (_, message) => failures.push(message),
    refreshMilliseconds: 1,
    retryMilliseconds: 1,
    random: () => 0,
    ...rest,
  });
  const asks = async (count: number): Promise<Asked> => {
    const deadline = Date.now() + 20_000;
    while (asked.length < count) {
      if (Date.now() > deadline) throw new Error(`asked ${asked.length} times, not ${count}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return asked[count - 1]!;
  };
  return { keeper, asked, told, counts, failures, asks };
};

const keys = (jwks: string, etag?: string): FetchedKeys => ({
  isUnchanged: false,
  jwks,
  etag,
  maxAgeSeconds: undefined,
});

test("the last good keys stay while fetches fail, and come to an end with the source", async () => {
  const { keeper, told, counts, failures, asks } = keeping();
  keeper.follow(wanted("a"));
  (await asks(1)).answer.reject(new DownloadError("no host", "ENOTFOUND"));
  (await asks(2)).answer.resolve(keys("one", '"1"'));
  const third = await asks(3);
  assert.is(third.etag, '"1"');
  third.answer.reject(new DownloadError("no answer", "ECONNRESET"));
  (await asks(4)).answer.reject(new DownloadError("no answer", "ECONNRESET"));
  (await asks(5)).answer.reject(new Error("a fault"));
  (await asks(6)).answer.resolve({ isUnchanged: true, maxAgeSeconds: undefined });
  (await asks(7)).answer.resolve(keys("two"));
  const eighth = await asks(8);
  assert.is(eighth.etag, undefined);
  keeper.follow(new Map());
  assert.ok(eighth.signal.aborted);
  assert.equal(told, [
    ["a", { jwks: undefined, failure: "no host" }],
    ["a", { jwks: "one", failure: undefined }],
    ["a", { jwks: "one", failure: "no answer" }],
    ["a", { jwks: "one", failure: "the fetch failed for a reason of heddled's own" }],
    ["a", { jwks: "one", failure: undefined }],
    ["a", { jwks: "two", failure: undefined }],
    ["a", undefined],
  ]);
  assert.equal(counts.slice(0, 3), [
    { current: 0, stale: 0, missing: 1 },
    { current: 1, stale: 0, missing: 0 },
    { current: 0, stale: 1, missing: 0 },
  ]);
  assert.is(failures.length, 3, "one word for each way to fail");
  keeper.stop();
});

test("what goes on being wanted is not fetched anew, and what comes is fetched at once", async () => {
  const { keeper, asked, asks } = keeping({ refreshMilliseconds: 3_600_000 });
  keeper.follow(wanted("a"));
  (await asks(1)).answer.resolve(keys("one"));
  await keeper.tried();
  keeper.follow(wanted("a", "b"));
  (await asks(2)).answer.resolve(keys("two"));
  await keeper.tried();
  assert.equal(
    asked.map(({ id }) => id),
    ["a", "b"],
  );
  keeper.stop();
});

test("an answer after nobody wants it any more, or after the end, is told to nobody", async () => {
  const { keeper, told, asks } = keeping();
  keeper.follow(wanted("a"));
  const first = await asks(1);
  keeper.follow(new Map());
  first.answer.resolve(keys("one"));
  keeper.follow(wanted("b"));
  const second = await asks(2);
  keeper.stop();
  second.answer.reject(new DownloadError("late", "late"));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(told, [["a", undefined]]);
});

test.run();
