// Recording a heap (`heap.record`): its calls and first touches become a trace, written to any taker of bytes.
// How the calls are seen is in heap-tap.ts, what is kept of them in recorder.ts, the formats in the two writers.

import { requireOptions } from "../../platform/hardware/given-options.ts";
import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { hideFields, outline } from "../../platform/hardware/outline.ts";
import { READ, WRITE } from "./events.ts";
import { type RecordedHeap, tapHeap } from "./heap-tap.ts";
import { Recorder } from "./recorder.ts";
import { type RecordFormat, type RecordSink, TraceWriter } from "./trace-writer.ts";

/** How a heap is recorded. */
export interface RecordOptions {
  /** `"binary"`, the default, is small and quick to replay; `"text"` has a line an event. */
  readonly format?: RecordFormat;
}

/** What a recording wrote. */
export interface RecordedCounts {
  /** Events: calls that succeeded, first touches of pages, threads' starts and ends, marks. */
  readonly events: number;
  /** Most blocks that were alive together: the ids that the trace uses. */
  readonly ids: number;
}

/** A recording that goes on until `stop`, the end of a `using` block, or the end of its heap. Made by `heap.record`. */
export class Recording {
  private readonly recorder: Recorder;
  private readonly writer: TraceWriter;
  private readonly untap: () => void;
  private failure: { readonly error: unknown } | null = null;
  private isRunning = true;

  /** @throws TypeError: the sink has no `write`. RangeError: an unknown format. What the sink throws at the trace's head. */
  constructor(heap: RecordedHeap, sink: RecordSink, options: RecordOptions = {}) {
    requireOptions("record", options, { format: "any" });
    this.writer = new TraceWriter(sink, options.format ?? "binary");
    this.recorder = new Recorder((batch) => {
      if (!this.isRunning) return;
      try {
        this.writer.add(batch);
      } catch (error) {
        this.fail(error);
      }
    });
    this.untap = tapHeap(heap, () => this.recorder);
    hideFields(this);
  }

  /** False once it was stopped, or its sink has thrown. */
  get isRecording(): boolean {
    return this.isRunning;
  }

  /** Puts a named mark into the trace, which a report draws. Ignored when nothing is recorded any more. */
  mark(label: string): void {
    if (this.isRunning) this.recorder.mark(label);
  }

  /** Notes an access that did not go through `heap.memory`, such as one of a WebAssembly guest's. Of no block: ignored. */
  accessed(operation: "load" | "store", address: Address, size: ByteCount): void {
    if (this.isRunning) this.recorder.accessed(operation === "load" ? READ : WRITE, address, size);
  }

  /**
   * Ends the recording: what was not written yet is, with the trace's end; the heap is as before. A second call only answers.
   * @throws what the sink threw, now or earlier: the program's own calls are not disturbed by it
   */
  stop(): RecordedCounts {
    if (this.isRunning) {
      this.recorder.end();
      if (this.isRunning) {
        this.leave();
        this.writer.end();
      }
    }
    if (this.failure !== null) throw this.failure.error;
    return { events: this.writer.events, ids: this.writer.ids };
  }

  /** Stops, as `stop` does. */
  [Symbol.dispose](): void {
    this.stop();
  }

  private fail(error: unknown): void {
    this.failure = { error };
    this.leave();
  }

  private leave(): void {
    this.isRunning = false;
    this.recorder.end();
    this.untap();
  }
}

outline(Recording, ({ isRecording }) => ({ isRecording }));
