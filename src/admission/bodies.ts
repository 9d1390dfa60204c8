import type { FastifyInstance } from "fastify";

export interface BodyLimits {
  /** Bytes of bodies under way, from one source address. */
  readonly perAddress: number;
  /** Of all addresses together. */
  readonly total: number;
  /** Bodies that are no larger always have room: how many there can be, the connection limit says. */
  readonly small: number;
}

const defaultLimits: BodyLimits = {
  perAddress: 32 * 1024 * 1024,
  total: 96 * 1024 * 1024,
  small: 64 * 1024,
};

/**
 * Bounds what bodies that are being received and answered may take together: each may be large, and whoever reaches the
 * port may send many. A request goes by what it declares, or by `largest` if it declares nothing; one beyond the limits is
 * answered 503 before its body is read.
 */
export const boundBodies = (app: FastifyInstance, largest: number, limits = defaultLimits): void => {
  const held = new Map<string, number>();
  let total = 0;
  const add = (address: string, bytes: number): void => {
    const now = (held.get(address) ?? 0) + bytes;
    if (now === 0) held.delete(address);
    else held.set(address, now);
    total += bytes;
  };
  app.addHook("onRequest", (request, reply, done) => {
    const address = request.ip;
    const declared = request.headers["content-length"];
    const bytes = declared === undefined ? largest : Math.min(Number(declared), largest);
    if (bytes <= limits.small) return done();
    if ((held.get(address) ?? 0) + bytes > limits.perAddress || total + bytes > limits.total) {
      reply.code(503).header("connection", "close").send({ message: "too many large requests at the same time" });
      return;
    }
    add(address, bytes);
    reply.raw.once("close", () => add(address, -bytes));
    done();
  });
};
