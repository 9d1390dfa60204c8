import type { Socket } from "node:net";

export interface ConnectionLimits {
  /** Connections of one source address at the same time. */
  readonly perAddress: number;
  /** Of all addresses together. */
  readonly total: number;
}

export interface ConnectionLimit {
  /** False if there are too many: the socket is closed then. */
  readonly enter: (socket: Socket) => boolean;
}

/** Told of each connection that was closed, and why. */
export type Dropped = (why: "address" | "total" | "time" | "bytes") => void;

/** Closes connections beyond the limits as they come. */
export const limitConnections = (limits: ConnectionLimits, dropped: Dropped = () => {}): ConnectionLimit => {
  const counts = new Map<string, number>();
  let total = 0;
  return {
    enter: (socket) => {
      const address = socket.remoteAddress ?? "";
      const count = counts.get(address) ?? 0;
      if (count >= limits.perAddress || total >= limits.total) {
        dropped(count >= limits.perAddress ? "address" : "total");
        socket.destroy();
        return false;
      }
      counts.set(address, count + 1);
      total += 1;
      socket.once("close", () => {
        const left = counts.get(address)! - 1;
        if (left === 0) counts.delete(address);
        else counts.set(address, left);
        total -= 1;
      });
      return true;
    },
  };
};
