// The stack of each path of calls by which a guest comes to its heap, taken once: the module keeps a hash of the path (call-paths.ts),
// which costs it some instructions a call, where a stack of the host costs some microseconds. The host's own part of a path, behind the
// guest's frames, is looked at one time for each call of the guest by the host.

import { capturePlaces, type Places } from "../../../platform/host/stack.ts";
import { keepClass } from "../../../platform/state/kept.ts";
import type { KnownPaths, Trace } from "../../common/traces.ts";
import { originBits, PATH_ROW_BYTES, PATH_ROWS, PATH_TRACE, PATHS, pathRow } from "../rewriting/heap-tables.ts";
import type { Layout } from "../rewriting/layout.ts";

/** Slots, a power of two; half of them are used at most. A program that recurses by several ways has thousands of paths. */
const CAPACITY = 2 ** 17;
const FIRST_CAPACITY = 2 ** 8;
/** The guest's own frames that are looked through at first, and at most, for those of the host behind them. */
const GUEST_FRAMES = [32, 2048];
/** Host's parts of paths that are told apart; then they begin anew, by other numbers. */
const MOST_ENTRIES = 2 ** 14;
/** Odd, so that different numbers stay different. */
const SPREAD_LOW = 0x9e3779b1;
const SPREAD_HIGH = 0x85ebca6b;

export class PathTraces implements KnownPaths {
  /** The module's word, low half first, and behind it what stands for the host's part. */
  private readonly word: Int32Array;
  /** Frames that a trace has at most. */
  private readonly frames: number;
  /** Paths and numbers of their traces, for the module itself (rewriting/heap-tables.ts). */
  private readonly shown: Int32Array;
  /** The path of the heap's call that runs now; both 0: none that is known. */
  private low = 0;
  private high = 0;
  /** Whether that is so because the host's part is still to be looked at. */
  private isEntryUnknown = false;
  private readonly entries = new Map<string, number>();
  private entryCount = 0;
  /** An open hash table: a slot's path is at twice its number. */
  private paths = new Int32Array(FIRST_CAPACITY * 2);
  private traces: (Trace | undefined)[] = new Array(FIRST_CAPACITY);
  private count = 0;

  /** @param frames frames that a trace has at most */
  constructor(buffer: ArrayBuffer, layout: Layout, frames: number) {
    this.frames = frames;
    this.word = new Int32Array(buffer, layout.pathBase, 4);
    this.shown = new Int32Array(buffer, layout.pathBase + PATHS, (PATH_ROWS * PATH_ROW_BYTES) / 4);
  }

  /** Has the module know that this path's trace, of blocks of an origin, is the one with the number. */
  show(number: number, origin: number): void {
    const { shown } = this;
    if ((this.low | this.high) === 0) return;
    const [lowBits, highBits] = originBits(origin);
    const low = this.low ^ lowBits;
    const high = this.high ^ highBits;
    const row = pathRow(low, high) / 4;
    shown[row] = low;
    shown[row + 1] = high;
    shown[row + PATH_TRACE / 4] = number;
  }

  /** The numbers mean nothing any more. */
  hideAll(): void {
    this.shown.fill(0);
  }

  /** A call of the heap by the guest begins. */
  begin(): void {
    const { word } = this;
    this.isEntryUnknown = (word[0] | word[1]) !== 0 && (word[2] | word[3]) === 0;
    if ((word[0] | word[1]) === 0 || this.isEntryUnknown) this.end();
    else this.takePath();
  }

  private takePath(): void {
    const { word } = this;
    this.low = word[0] ^ word[2];
    this.high = word[1] ^ word[3];
  }

  /** It has ended. */
  end(): void {
    this.low = 0;
    this.high = 0;
  }

  /** The guest's frames are gone by an error of the host's. */
  abandon(): void {
    this.word.fill(0);
  }

  find(): Trace | null {
    if (this.isEntryUnknown) this.lookAtEntry();
    if ((this.low | this.high) === 0) return null;
    return this.traces[this.slot()] ?? null;
  }

  learn(trace: Trace): void {
    if ((this.low | this.high) === 0) return;
    if (this.count * 2 >= this.traces.length) this.grow();
    const slot = this.slot();
    if (this.traces[slot] === undefined) this.count++;
    this.traces[slot] = trace;
    this.paths[slot * 2] = this.low;
    this.paths[slot * 2 + 1] = this.high;
  }

  /** Tells the module, and this call, which host's part the path has. */
  private lookAtEntry(): void {
    this.isEntryUnknown = false;
    const key = this.hostPart();
    if (key === null) return;
    let entry = this.entries.get(key);
    if (entry === undefined) {
      if (this.entries.size >= MOST_ENTRIES) this.entries.clear();
      entry = ++this.entryCount;
      this.entries.set(key, entry);
    }
    this.word[2] = Math.imul(entry, SPREAD_LOW);
    this.word[3] = Math.imul(entry, SPREAD_HIGH);
    this.takePath();
  }

  /** The frames behind the guest's, as many as a trace can show, as text; null: they are too far away. */
  private hostPart(): string | null {
    for (const guestFrames of GUEST_FRAMES) {
      const places = capturePlaces(guestFrames + this.frames);
      const { files, positions } = places;
      const begin = hostBegin(places);
      const isAll = files.length < guestFrames + this.frames;
      if (begin >= 0 && (isAll || begin + this.frames <= files.length))
        return `${files.slice(begin, begin + this.frames).join("\n")}\n${positions.slice(begin, begin + this.frames).join()}`;
    }
    return null;
  }

  /** Where the path is, or may be put. */
  private slot(): number {
    const { low, high, paths } = this;
    const mask = this.traces.length - 1;
    // The low bits are the last call's alone, which has no more than a hash of its own.
    let slot = (low ^ (high * 31)) & mask;
    while ((paths[slot * 2] !== low || paths[slot * 2 + 1] !== high) && this.traces[slot] !== undefined)
      slot = (slot + 1) & mask;
    return slot;
  }

  private grow(): void {
    const { paths, traces, low, high } = this;
    const capacity = traces.length < CAPACITY ? traces.length * 2 : FIRST_CAPACITY;
    this.paths = new Int32Array(capacity * 2);
    this.traces = new Array(capacity);
    this.count = 0;
    // A full table begins anew.
    if (traces.length < CAPACITY) {
      for (const [slot, trace] of traces.entries()) {
        if (trace === undefined) continue;
        this.low = paths[slot * 2];
        this.high = paths[slot * 2 + 1];
        this.learn(trace);
      }
    }
    this.low = low;
    this.high = high;
  }
}

/** The first frame behind those of the guest, which come behind the library's; −1: there are none of the guest. */
function hostBegin({ files }: Places): number {
  const isGuest = (file: string) => file.startsWith("wasm://");
  let begin = files.findIndex(isGuest);
  while (begin >= 0 && begin < files.length && isGuest(files[begin])) begin++;
  return begin;
}

keepClass("PathTraces", PathTraces, { isOfHost: true });
