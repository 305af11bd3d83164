// Stack traces told apart: each place in a program from which the library is called is one trace, however often it is met.
// Capturing and text are the host's (platform/host/stack.ts); which traces belong to which chunk is stacks.ts.

import {
  capturePlaces,
  captureTrace,
  type Places,
  type RawTrace,
  samePlaces,
  traceText,
} from "../../platform/host/stack.ts";
import { keepClass } from "../../platform/state/kept.ts";

/** Distinct traces that are kept; a program has a few hundred. */
const LARGEST = 20_000;

/** One way to get here. Equal ways are the same object, as long as the table remembers them. */
export class Trace {
  private readonly frames: number;
  private raw: RawTrace | null;
  private text: string | null = null;

  constructor(raw: RawTrace, frames: number) {
    this.raw = raw;
    this.frames = frames;
  }

  /** The frames, one a line, without the library's own; made when it is first asked for. */
  toString(): string {
    if (this.raw !== null) this.text = traceText(this.raw, this.frames);
    this.raw = null;
    return this.text ?? "";
  }
}

/** A program that knows by which way it comes, so that a stack need not be taken to tell. */
export interface KnownPaths {
  /** The trace that {@link learn} was given when the program came this way before, or null. */
  find(): Trace | null;
  learn(trace: Trace): void;
}

export class Traces {
  /** Null: only the host's stacks tell. */
  paths: KnownPaths | null = null;
  private readonly frames: number;
  /** By the hash of their places. */
  private readonly byPlaces = new Map<number, { readonly places: Places; readonly trace: Trace }[]>();
  private known = 0;

  /** @param frames frames kept of each trace */
  constructor(frames: number) {
    this.frames = frames;
  }

  /** Where the program stands now. */
  here(): Trace {
    const known = this.paths?.find() ?? null;
    if (known !== null) return known;
    const trace = this.traceAt(capturePlaces(this.frames));
    this.paths?.learn(trace);
    return trace;
  }

  private traceAt(places: Places): Trace {
    let bucket = this.byPlaces.get(places.hash);
    const known = bucket?.find((entry) => samePlaces(entry.places, places));
    if (known !== undefined) return known.trace;
    if (this.known >= LARGEST) {
      this.byPlaces.clear();
      this.known = 0;
      bucket = undefined;
    }
    const trace = new Trace(captureTrace(this.frames), this.frames);
    if (bucket === undefined) this.byPlaces.set(places.hash, [{ places, trace }]);
    else bucket.push({ places, trace });
    this.known++;
    return trace;
  }
}

keepClass("Traces", Traces, { isOfHost: true });

keepClass("Trace", Trace, {
  isOfHost: true,
  settle: (trace) => {
    trace.toString();
  },
});
