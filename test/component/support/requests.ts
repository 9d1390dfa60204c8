import { Agent, request as httpRequest, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";

export interface Call {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly milliseconds: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 16 });
const deadlineMilliseconds = 15_000;

/** One request to 127.0.0.1, its target and Host as given; ends with an error after 15 s. */
export const call = (port: number, { path = "/", method = "GET", headers = {} }: Call = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const started = performance.now();
    const request = httpRequest(
      { host: "127.0.0.1", port, path, method, headers: { host: "reviews", ...headers }, agent },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString("utf8"),
            milliseconds: performance.now() - started,
          }),
        );
      },
    );
    request.setTimeout(deadlineMilliseconds, () => request.destroy(new Error(`no answer to ${method} ${path}`)));
    request.on("error", reject);
    request.end();
  });

/** Many requests, sixteen at a time. */
export const callMany = async (times: number, one: () => Promise<Answer>): Promise<readonly Answer[]> => {
  const answers: Answer[] = [];
  let left = times;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      answers.push(await one());
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return answers;
};

/**
 * Whether a count of independent events of one probability is within five standard deviations: a right split fails this
 * once in 1.7 million runs.
 */
export const isShare = (count: number, total: number, share: number): boolean =>
  Math.abs(count - total * share) <= 5 * Math.sqrt(total * share * (1 - share));

/** Waits for a condition; an error names it if it does not come. */
export const eventually = async (what: string, condition: () => boolean | Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + deadlineMilliseconds;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${deadlineMilliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
