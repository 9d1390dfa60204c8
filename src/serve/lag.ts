/** Measures from a change until the proxy holds it, acknowledged, and all that came meanwhile. */
export const measureLag = (isInSync: () => boolean, converged: (milliseconds: number) => void) => {
  let since: number | undefined;
  return {
    changed: (): void => {
      since ??= performance.now();
    },
    /** What changed may be of no interest to this proxy. */
    flushed: (): void => {
      if (isInSync()) since = undefined;
    },
    answered: (): void => {
      if (since === undefined || !isInSync()) return;
      converged(performance.now() - since);
      since = undefined;
    },
    /** A rejection ends no wait in sensible time. */
    forget: (): void => {
      since = undefined;
    },
  };
};
