// Loaded into the recorded program before its own code: taps every heap of its `refheap`, and writes a trace for each.
// Started by `refheap record` through --import; without REFHEAP_RECORD in the environment it does nothing.
import { RECORDER_KEY } from "../../../allocator/record/announce.ts";
import { type RecordedHeap, tapHeap } from "../../../allocator/record/heap-tap.ts";
import { Recorder } from "../../../allocator/record/recorder.ts";
import { TraceWriter } from "../../../allocator/record/trace-writer.ts";
import { RecordingFile } from "../replay/recording-file.ts";

const MAX_FILES = 1_000_000;
/** As it was before a program's tests put clocks of their own in its place. */
const afterThisTurn = setImmediate;

/** What every heap has, whichever copy of the library it is of. */
interface DisposableHeap extends RecordedHeap {
  [Symbol.dispose](): void;
}

/** Taps every class of heaps that the process will load. A tool that loads none, npx for one, runs as it would without this. */
function start(file: string): void {
  const recordings = new WeakMap<RecordedHeap, HeapRecording>();
  const open = new Set<HeapRecording>();
  const recordingOf = (heap: RecordedHeap): HeapRecording => {
    let recording = recordings.get(heap);
    if (recording === undefined) {
      recording = new HeapRecording(firstFree(file));
      recordings.set(heap, recording);
      open.add(recording);
    }
    return recording;
  };
  const tapClass = ({ prototype }: { readonly prototype: DisposableHeap }): void => {
    tapHeap(prototype, (heap) => {
      const recording = recordingOf(heap);
      recording.willChange();
      return recording.recorder;
    });
    closeWithHeap(prototype, (heap) => {
      const recording = recordings.get(heap);
      recording?.close();
      if (recording !== undefined) open.delete(recording);
    });
  };
  (process as unknown as Record<symbol, unknown>)[RECORDER_KEY] = tapClass;
  process.on("exit", () => {
    for (const recording of open) recording.close();
  });
}

/** A run of tests has thousands of heaps, one after another: a disposed one's file is not kept open. */
function closeWithHeap(prototype: DisposableHeap, close: (heap: DisposableHeap) => void): void {
  const dispose = prototype[Symbol.dispose];
  prototype[Symbol.dispose] = function (this: DisposableHeap): void {
    try {
      dispose.call(this);
    } finally {
      close(this);
    }
  };
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
    afterThisTurn(() => {
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
if (file !== undefined && file !== "") start(file);
