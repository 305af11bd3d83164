// Loaded into the recorded program before its own code: taps every heap of its `refheap`, and writes a trace for each.
// Started by `refheap record` through --import; without REFHEAP_RECORD in the environment it does nothing.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Heap } from "../../../allocator/index.ts";
import { tapHeap } from "../../../allocator/record/heap-tap.ts";
import { Recorder } from "../../../allocator/record/recorder.ts";
import { TraceWriter } from "../../../allocator/record/trace-writer.ts";
import { RecordingFile } from "../replay/recording-file.ts";

const MAX_FILES = 10_000;

async function start(file: string): Promise<void> {
  const { Heap } = (await import(refheapOf(process.argv[1] ?? join(process.cwd(), "x")))) as {
    Heap: typeof import("../../../allocator/index.ts").Heap;
  };
  const recorders = new WeakMap<Heap, Recorder>();
  const open: (() => void)[] = [];
  tapHeap(Heap.prototype, (heap) => {
    let recorder = recorders.get(heap);
    if (recorder === undefined) {
      const recording = firstFree(file);
      const writer = new TraceWriter(recording, "binary");
      const made = new Recorder((batch) => writer.add(batch));
      recorders.set(heap, made);
      open.push(() => {
        made.end();
        writer.end();
        recording.close(writer);
      });
      recorder = made;
    }
    return recorder;
  });
  process.on("exit", () => {
    for (const close of open) close();
  });
}

/** The program's own `refheap`, as its main script would import it. */
function refheapOf(script: string): string {
  try {
    return pathToFileURL(createRequire(script).resolve("refheap")).href;
  } catch {
    process.stderr.write(`refheap record: ${script} cannot import "refheap": no heap to record\n`);
    process.exit(1);
  }
}

/** FILE for the first heap of all processes, then FILE.2, FILE.3, … */
function firstFree(file: string): RecordingFile {
  for (let number = 1; number < MAX_FILES; number++) {
    try {
      return new RecordingFile(number === 1 ? file : `${file}.${number}`, "wx");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
  throw new Error(`${file}: ${MAX_FILES} recordings exist already`);
}

const file = process.env.REFHEAP_RECORD;
if (file !== undefined && file !== "") await start(file);
