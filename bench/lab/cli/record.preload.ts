// Loaded into the recorded program before its own code: taps every heap of its `refheap`, and writes a trace for each.
// Started by `refheap record` through --import; without REFHEAP_RECORD in the environment it does nothing.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type RecordedHeap, tapHeap } from "../../../allocator/record/heap-tap.ts";
import { Recorder } from "../../../allocator/record/recorder.ts";
import { TraceWriter } from "../../../allocator/record/trace-writer.ts";
import { RecordingFile } from "../replay/recording-file.ts";

const MAX_FILES = 1_000_000;

async function start(file: string): Promise<void> {
  const module = refheapOf();
  // A tool that does not use the package, npx for one, runs as it would without this.
  if (module === null) return;
  const { Heap } = (await import(module)) as { Heap: typeof import("../../../allocator/index.ts").Heap };
  const recordings = new WeakMap<RecordedHeap, HeapRecording>();
  const open: HeapRecording[] = [];
  tapHeap(Heap.prototype, (heap) => {
    let recording = recordings.get(heap);
    if (recording === undefined) {
      recording = new HeapRecording(firstFree(file));
      recordings.set(heap, recording);
      open.push(recording);
    }
    recording.willChange();
    return recording.recorder;
  });
  process.on("exit", () => {
    for (const recording of open) recording.close();
  });
}

/** The trace of one heap. What happened is on disk after each turn of the event loop, for a process that is killed. */
class HeapRecording {
  readonly recorder: Recorder;
  private readonly file: RecordingFile;
  private readonly writer: TraceWriter;
  private isFlushComing = false;

  constructor(file: RecordingFile) {
    this.file = file;
    this.writer = new TraceWriter(file, "binary");
    this.recorder = new Recorder((batch) => this.writer.add(batch));
  }

  willChange(): void {
    if (this.isFlushComing) return;
    this.isFlushComing = true;
    setImmediate(() => {
      this.isFlushComing = false;
      this.recorder.flush();
    }).unref();
  }

  close(): void {
    this.recorder.end();
    this.writer.end();
    this.file.close(this.writer);
  }
}

/** The program's own `refheap`, as its main script or a file in its folder would import it; null if it has none. */
function refheapOf(): string | null {
  for (const from of [process.argv[1], join(process.cwd(), "x")]) {
    try {
      if (from !== undefined) return pathToFileURL(createRequire(from).resolve("refheap")).href;
    } catch {
      // Not there: the next place.
    }
  }
  return null;
}

let nextNumber = 1;

/** FILE for the first heap of all processes, then FILE.2, FILE.3, … */
function firstFree(file: string): RecordingFile {
  for (; nextNumber < MAX_FILES; nextNumber++) {
    try {
      return new RecordingFile(nextNumber === 1 ? file : `${file}.${nextNumber}`, "wx");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
  throw new Error(`${file}: ${MAX_FILES} recordings exist already`);
}

const file = process.env.REFHEAP_RECORD;
if (file !== undefined && file !== "") await start(file);
