import { once } from "node:events";
import { Worker } from "node:worker_threads";

const [{ point, report }] = await once(new Worker(new URL("./worker.mjs", import.meta.url)), "message");
console.log(point);
console.log(report);
