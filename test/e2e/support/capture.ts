import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "../../cluster/processes.ts";

/** TCP payloads between two addresses on a network interface, one entry a packet that carries data. */
export interface Packet {
  readonly from: string;
  readonly payload: Buffer;
}

const ethernetHeader = 14;

const parsePacket = (frame: Buffer): Packet | undefined => {
  const etherType = frame.readUInt16BE(12);
  const ip = frame.subarray(ethernetHeader);
  if (etherType === 0x0800 && ip[9] === 6) {
    const tcp = ip.subarray((ip[0]! & 0xf) * 4, ip.readUInt16BE(2));
    return { from: [...ip.subarray(12, 16)].join("."), payload: tcp.subarray((tcp[12]! >> 4) * 4) };
  }
  if (etherType === 0x86dd && ip[6] === 6) {
    const tcp = ip.subarray(40, 40 + ip.readUInt16BE(4));
    return { from: ip.subarray(8, 24).toString("hex"), payload: tcp.subarray((tcp[12]! >> 4) * 4) };
  }
  return undefined;
};

/** Reads the classic pcap format, little endian, link type Ethernet. */
export const parseCapture = (file: Buffer): readonly Packet[] => {
  const packets: Packet[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const frame = file.subarray(at + 16, at + 16 + length);
    at += 16 + length;
    const packet = frame.length > ethernetHeader + 20 ? parsePacket(frame) : undefined;
    if (packet !== undefined && packet.payload.length > 0) packets.push(packet);
  }
  return packets;
};

/** Captures what passes between two pods while `action` runs. */
export const captureBetween = async (
  networkInterface: string,
  first: string,
  second: string,
  action: () => Promise<void>,
  isComplete: (packets: readonly Packet[]) => boolean,
): Promise<readonly Packet[]> => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-capture-"));
  const file = join(folder, "capture.pcap");
  const filter = `tcp and host ${first} and host ${second}`;
  const child = spawn("tcpdump", ["-i", networkInterface, "-s", "0", "-U", "-n", "-Z", "root", "-w", file, filter], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let messages = "";
  child.stderr.on("data", (chunk: Buffer) => {
    messages += chunk.toString("utf8");
  });
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  try {
    await waitFor("tcpdump listens", () => messages.includes("listening on"), 10).catch((error: Error) => {
      throw new Error(`${error.message}: ${messages}`);
    });
    await action();
    await waitFor("the exchange is captured", () => isComplete(parseCapture(readFileSync(file))), 10);
    return parseCapture(readFileSync(file));
  } finally {
    child.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
};

/** Whether a payload begins with a TLS record: type 20-23, version 3.x. */
export const isTlsRecord = (payload: Buffer): boolean =>
  payload.length >= 5 && payload[0]! >= 20 && payload[0]! <= 23 && payload[1] === 3 && payload[2]! <= 4;

export const isClientHello = (payload: Buffer): boolean =>
  payload.length > 5 && payload[0] === 22 && payload[1] === 3 && payload[5] === 1;
