// Recording a heap as a library call: `recordHeap(heap, "app.rht")`, and `stop()` when enough was seen.
// The command that records other people's scripts is bench/cli/record.ts.
import type { Heap } from "../../allocator/index.ts";
import { tapHeap } from "./heap-tap.ts";
import { Recorder } from "./recorder.ts";
import { RecordingFile } from "./recording-file.ts";

export interface Recording {
  readonly file: string;
  /** Puts a named mark into the trace. */
  mark(label: string): void;
  /** Ends the recording; the heap is as before. Answers the number of events. */
  stop(): number;
}

/** Records a heap's calls and first touches into a binary trace, from now on. @throws Node's error if the file cannot be made. */
export function recordHeap(heap: Heap, file: string): Recording {
  const recording = new RecordingFile(file);
  const recorder = new Recorder((batch) => recording.add(batch));
  const untap = tapHeap(heap, () => recorder);
  return {
    file,
    mark: (label) => recorder.mark(label),
    stop() {
      untap();
      recorder.flush();
      recording.close();
      return recording.events;
    },
  };
}
