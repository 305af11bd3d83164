// Runs the codec on a heap of this thread, and sends what the checker found.
import { parentPort } from "node:worker_threads";
import { Heap } from "refheap";
import { decodePoint, encodePoint } from "./point.mjs";

const heap = new Heap({ uninitialised: "byte", stacks: true });
const view = heap.view(heap.malloc(40));
encodePoint(view, view.bytes, { name: "Bern", x: 7.4, y: 46.9 });
const { name, x, y } = decodePoint(view, view.bytes);
const report = heap.checker.toText({ stable: true });
parentPort.postMessage({ point: `${name} ${x} ${y}`, report: report.split("\n").slice(0, 3).join("\n") });
