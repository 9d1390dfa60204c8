const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A duration such as "5s" from the environment, in milliseconds. Throws an Error that names the variable and the cure. */
export const readDuration = (environment: NodeJS.ProcessEnv, name: string, fallback: string): number => {
  const text = environment[name] || fallback;
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  if (amount === undefined)
    throw new Error(`${name}: ${JSON.stringify(text)} is not a duration; write one such as "5s"`);
  return Number(amount) * units[unit!]!;
};
