import type { Socket } from "node:net";
import type { ConnectionLimits, Dropped } from "./connections.js";

export interface NewcomerLimits extends ConnectionLimits {
  /** How long a connection may take until it is known whose it is. */
  readonly milliseconds: number;
  /** How long it is safe from being closed for a newer one. */
  readonly graceMilliseconds: number;
  /** What it may send until then, TLS included, whatever frames they are. */
  readonly bytes: number;
}

export interface Newcomers {
  /** False if there are too many already: the socket is closed then. */
  readonly enter: (socket: Socket) => boolean;
  /** From now on the connection of this peer, `address:port`, is free of the limits. */
  readonly known: (peer: string) => void;
}

export const peerOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}:${remotePort}`;

const checkMilliseconds = 250;

/**
 * Connections of which nobody knows yet whose they are. Each has a budget of time and of bytes. When there are too many,
 * the oldest goes if it has had its time: who means well is known within a moment. Otherwise the new one goes, so that a
 * thousand proxies that come at once do not put each other out.
 */
export const limitNewcomers = (limits: NewcomerLimits, dropped: Dropped = () => {}): Newcomers => {
  const waiting = new Map<string, { readonly socket: Socket; readonly address: string; readonly since: number }>();
  const counts = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
  const leave = (peer: string): void => {
    const entry = waiting.get(peer);
    if (entry === undefined) return;
    waiting.delete(peer);
    const left = counts.get(entry.address)! - 1;
    if (left === 0) counts.delete(entry.address);
    else counts.set(entry.address, left);
    if (waiting.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  const drop = (peer: string, why: Parameters<Dropped>[0]): void => {
    waiting.get(peer)?.socket.destroy();
    leave(peer);
    dropped(why);
  };
  const refuse = (socket: Socket, why: Parameters<Dropped>[0]): false => {
    dropped(why);
    socket.destroy();
    return false;
  };
  const check = (): void => {
    const now = performance.now();
    for (const [peer, { socket, since }] of waiting)
      if (now - since > limits.milliseconds) drop(peer, "time");
      else if (socket.bytesRead > limits.bytes) drop(peer, "bytes");
  };
  return {
    enter: (socket) => {
      const peer = peerOf(socket);
      const address = socket.remoteAddress ?? "";
      const count = counts.get(address) ?? 0;
      if (count >= limits.perAddress) return refuse(socket, "address");
      const [oldest] = waiting;
      if (oldest !== undefined && waiting.size >= limits.total) {
        if (performance.now() - oldest[1].since < limits.graceMilliseconds) return refuse(socket, "total");
        drop(oldest[0], "total");
      }
      waiting.set(peer, { socket, address, since: performance.now() });
      counts.set(address, (counts.get(address) ?? 0) + 1);
      socket.once("close", () => leave(peer));
      timer ??= setInterval(check, checkMilliseconds).unref();
      return true;
    },
    known: leave,
  };
};
