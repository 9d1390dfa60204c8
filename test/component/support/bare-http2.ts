import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";

/** HTTP/2 by hand (RFC 9113), for what no well-behaved client sends. */
export const frameTypes = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, continuation: 9 } as const;
export const flags = { none: 0, endStream: 1, acknowledge: 1, endHeaders: 4 } as const;

export const frame = (type: number, frameFlags: number, payload: Buffer, stream = 0): Buffer => {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = frameFlags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
};

const lengthOf = (length: number): Buffer => {
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
};

/** A header field in HPACK, literal and without index (RFC 7541, 6.2.2). */
export const field = (name: string, value: string): Buffer =>
  Buffer.concat([
    Buffer.from([0]),
    lengthOf(name.length),
    Buffer.from(name, "latin1"),
    lengthOf(value.length),
    Buffer.from(value, "latin1"),
  ]);

export const fields = (headers: readonly (readonly [name: string, value: string])[]): Buffer =>
  Buffer.concat(headers.map(([name, value]) => field(name, value)));

export const preface = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(frameTypes.settings, flags.none, Buffer.alloc(0)),
]);

/** A connection of bare HTTP/2 frames, which keeps its end open whatever the server does. */
export const openBare = async (port: number, ca: string): Promise<TLSSocket> => {
  const options = { port, host: "127.0.0.1", servername: "localhost", ca, ALPNProtocols: ["h2"], allowHalfOpen: true };
  const socket = connect(options);
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  socket.write(preface);
  return socket;
};
