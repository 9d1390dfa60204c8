import { up } from "./local.ts";

const started = performance.now();
const kubeconfig = await up();
console.error(`the cluster is up after ${((performance.now() - started) / 1000).toFixed(1)} s`);
console.log(`export KUBECONFIG=${kubeconfig}`);
