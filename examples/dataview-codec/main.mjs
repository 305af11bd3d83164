// Starts the worker that runs the codec on a heap of its own, and prints what it answers: the point, and what the checker found.
import { once } from "node:events";
import { Worker } from "node:worker_threads";

const [{ point, report }] = await once(new Worker(new URL("./worker.mjs", import.meta.url)), "message");
console.log(point);
console.log(report);
