// The program of a sweep's worker thread: one replay after another, as the main thread asks for them.
// Who gets which task is decided in bench/lab/replay/sweep.ts.
import { parentPort } from "node:worker_threads";
import { runTask, type WorkerAnswer, type WorkerRequest } from "../replay/sweep.ts";

/** The main thread shows progress as often. */
const SHARE_INTERVAL_MS = 100;

parentPort?.on("message", ({ task, options }: WorkerRequest) => {
  let last = performance.now();
  const onShare = (share: number): void => {
    const now = performance.now();
    if (now - last < SHARE_INTERVAL_MS) return;
    last = now;
    answer({ share });
  };
  runTask(task, options, onShare).then(
    (result) => answer({ result }),
    ({ name, message, code, path }: NodeJS.ErrnoException) => answer({ error: { name, message, code, path } }),
  );
});

function answer(message: WorkerAnswer): void {
  parentPort?.postMessage(message);
}
