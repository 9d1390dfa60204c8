/**
 * One TCP connection from inside of a pod, held and used for as long as standard input is open: a numbered line every 20 ms,
 * each of which has to come back. Says at the end how many did, and why it ended if it did so by itself.
 */
import { connect } from "node:net";
import { createInterface } from "node:readline";

const [host = "", port = ""] = process.argv.slice(2);
const socket = connect({ host, port: Number(port) });
let sent = 0;
let received = 0;
const finish = (error?: string): void => {
  process.stdout.write(`${JSON.stringify({ sent, received, ...(error === undefined ? {} : { error }) })}\n`, () =>
    process.exit(0),
  );
};
const timer = setInterval(() => {
  if (socket.readyState === "open") socket.write(`${sent++}\n`);
}, 20);
createInterface({ input: socket }).on("line", (line) => {
  if (line !== String(received)) finish(`line ${received} came back as ${line}`);
  received += 1;
  if (received === 1) process.stdout.write("open\n");
});
socket.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
socket.on("end", () => finish("closed by the other side"));
process.stdin.resume();
process.stdin.on("end", () => {
  clearInterval(timer);
  const deadline = Date.now() + 5000;
  const wait = (): void => {
    if (received === sent) finish();
    else if (Date.now() > deadline) finish("not everything came back");
    else setTimeout(wait, 20);
  };
  wait();
});
