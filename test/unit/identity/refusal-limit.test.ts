import { test } from "uvu";
import * as assert from "uvu/assert";
import { limitRefusals } from "../../../src/identity/refusal-limit.js";
import { createTokenAuthenticator, type TokenReviewStatus } from "../../../src/identity/token.js";

const good: TokenReviewStatus = {
  authenticated: true,
  audiences: ["istio-ca"],
  user: {
    username: "system:serviceaccount:shop:cart",
    extra: { "authentication.kubernetes.io/pod-name": ["cart-1"], "authentication.kubernetes.io/pod-uid": ["uid"] },
  },
};

const start = () => {
  let reviews = 0;
  let now = 0;
  let isDown = false;
  const authenticate = limitRefusals(
    createTokenAuthenticator(async (token) => {
      reviews += 1;
      if (isDown) throw new Error("the API server is away");
      return token.startsWith("good") ? good : { authenticated: false };
    }, "istio-ca"),
    { burst: 3, perSecond: 1, now: () => now },
  );
  const outcome = (token: string, address = "10.0.0.1"): Promise<string> =>
    authenticate(token, address).then(
      ({ podName }) => podName,
      (error: Error) => error.message,
    );
  return {
    outcome,
    reviews: () => reviews,
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
    setDown: (value: boolean) => {
      isDown = value;
    },
  };
};

test("an address whose tokens were refused gets no more reviews for a while; others do", async () => {
  const { outcome, reviews, pass } = start();
  const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => outcome(`bad-${index}`)));
  assert.is(reviews(), 3);
  assert.is(answers.filter((answer) => answer.includes("too many tokens from this address")).length, 17);
  assert.is(await outcome("good", "10.0.0.2"), "cart-1");
  pass(1000);
  assert.is(await outcome("good"), "cart-1");
});

test("tokens that are good, and an API server that is away, cost nothing", async () => {
  const { outcome, setDown } = start();
  for (let index = 0; index < 10; index++) assert.is(await outcome(`good-${index}`), "cart-1");
  setDown(true);
  for (let index = 0; index < 10; index++) assert.match(await outcome(`other-${index}`), "is away");
  setDown(false);
  assert.match(await outcome("bad"), "not valid");
});

test.run();
