import { down } from "./local.ts";

await down();
console.error("the cluster is down");
