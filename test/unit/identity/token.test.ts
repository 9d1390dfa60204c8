import { test } from "uvu";
import * as assert from "uvu/assert";
import { createTokenAuthenticator, type TokenReviewStatus } from "../../../src/identity/token.js";

const good: TokenReviewStatus = {
  authenticated: true,
  audiences: ["istio-ca"],
  user: {
    username: "system:serviceaccount:shop:cart",
    extra: {
      "authentication.kubernetes.io/pod-name": ["cart-1"],
      "authentication.kubernetes.io/pod-uid": ["uid-1"],
    },
  },
};

const tokenFor = (expiresInSeconds: number): string =>
  `header.${Buffer.from(JSON.stringify({ exp: Date.now() / 1000 + expiresInSeconds })).toString("base64url")}.signature`;

test("the identity is the review's, and one review serves all who ask at once and soon after", async () => {
  let reviews = 0;
  const authenticate = createTokenAuthenticator(async () => {
    reviews++;
    return good;
  }, "istio-ca");
  const token = tokenFor(3600);
  const [pod] = await Promise.all([authenticate(token), authenticate(token), authenticate(token)]);
  assert.equal(pod, { namespace: "shop", serviceAccount: "cart", podName: "cart-1", podUid: "uid-1" });
  await authenticate(token);
  assert.is(reviews, 1);
});

test("a refusal says why, without the token, and is not remembered", async () => {
  const cases: readonly (readonly [TokenReviewStatus, RegExp])[] = [
    [{ authenticated: false, error: "SECRET" }, /is not valid/],
    [{ ...good, audiences: ["other"] }, /not for the audience istio-ca/],
    [{ ...good, user: { ...good.user!, username: "admin" } }, /not a service account's/],
    [{ ...good, user: { username: "system:serviceaccount:shop:cart" } }, /not bound to a pod/],
  ];
  for (const [status, message] of cases) {
    let reviews = 0;
    const authenticate = createTokenAuthenticator(async () => {
      reviews++;
      return status;
    }, "istio-ca");
    for (let round = 0; round < 2; round++) {
      try {
        await authenticate("SECRET");
        assert.unreachable();
      } catch (error) {
        assert.match((error as Error).message, message);
        assert.not.match((error as Error).message, /SECRET/);
      }
    }
    assert.is(reviews, 2);
  }
});

test("no token and a huge one are refused without a review", async () => {
  const authenticate = createTokenAuthenticator(() => assert.unreachable() as never, "istio-ca");
  for (const token of ["", "x".repeat(20_000)]) {
    await authenticate(token).then(
      () => assert.unreachable(),
      (error: Error) => assert.is(error.name, "TokenRefusal"),
    );
  }
});

test.run();
