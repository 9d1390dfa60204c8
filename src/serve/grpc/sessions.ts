import { constants, type ServerHttp2Session } from "node:http2";

export interface SessionLimits {
  /** How long a peer may take to answer a ping. */
  readonly pingMilliseconds: number;
  /** How long a connection may be without a call before it is told to close. */
  readonly idleMilliseconds: number;
  /** PING and SETTINGS frames of a peer in each ping interval; a gRPC client that measures its bandwidth sends some. */
  readonly mostControlFrames: number;
}

export const defaultSessionLimits: SessionLimits = {
  pingMilliseconds: 30_000,
  idleMilliseconds: 300_000,
  mostControlFrames: 3000,
};

/** Drops connections whose peer is gone without a word, that nobody uses, or that flood. */
export const superviseSession = (session: ServerHttp2Session, limits: SessionLimits): void => {
  let isAlive = true;
  let calls = 0;
  let controlFrames = 0;
  let idleSince = performance.now();
  session.on("stream", (stream) => {
    calls += 1;
    stream.once("close", () => {
      calls -= 1;
      idleSince = performance.now();
    });
  });
  const countControl = (): void => {
    controlFrames += 1;
    if (controlFrames > limits.mostControlFrames) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  };
  session.on("ping", countControl);
  session.on("remoteSettings", countControl);
  const timer = setInterval(() => {
    // It closes when the peer closes its end too, which may be never; a ping would throw meanwhile.
    if (session.destroyed) return clearInterval(timer);
    if (!isAlive) return session.destroy();
    controlFrames = 0;
    if (calls === 0 && !session.closed && performance.now() - idleSince > limits.idleMilliseconds) session.close();
    isAlive = false;
    session.ping((error) => {
      isAlive ||= error === null;
    });
  }, limits.pingMilliseconds);
  timer.unref();
  session.once("close", () => clearInterval(timer));
};
