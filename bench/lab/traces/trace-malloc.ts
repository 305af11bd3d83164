// T7: what any Valgrind tool writes with --trace-malloc=yes: `--PID-- malloc(SIZE) = 0xPTR`, one call a line.
// Other lines of its log say nothing here. Addresses become block ids in block-events.ts.
import { ALIGNED, CALLOC, type EventBatch, MALLOC } from "../../../allocator/record/events.ts";
import { BlockEvents } from "./block-events.ts";
import type { LineParser } from "./lines.ts";
import type { TraceTally } from "./tally.ts";

/** `--12-- text`, `==12== text`, with --time-stamp=yes `--00:00:00:01.517 12-- text`. */
const LINE = /^(--|==|\*\*)(?:\d[\d:.]* )?(\d+)\1 ?(.*?)\s*$/;
const CALL = /^([A-Za-z_]\w*)\(([^)]*)\)(.*)$/;
const RESULT = /^ = (?:0x([0-9a-f]+)|\(nil\))$/i;
const BANNER = /^\w+, an? .+/;
/** Mangled names of operator new and new[], and of operator delete and delete[]. */
const OPERATOR_NEW = /^_Zn[wa][mj]/;
const OPERATOR_DELETE = /^_Zd[la]Pv/;
/** Processes of one log are told apart by bits that no address of a program has. */
const PROCESS_WORD = 2 ** 17;
const MAX_PROCESSES = 2 ** 15;
const EXPECTED = '"--PID-- malloc(SIZE) = 0xPTR" or another line of a Valgrind log';

/**
 * Parses T7. Each process is a thread of the trace; an address is a block of its process alone, so that a log of several
 * (--trace-children=yes) mixes nothing up. Blocks that a process has from its parent are unknown.
 */
export class TraceMallocParser implements LineParser {
  readonly eventForm = '"--PID-- malloc(SIZE) = 0xPTR" (the log of a program run by valgrind --trace-malloc=yes)';
  private readonly blocks: BlockEvents;
  private readonly tally: TraceTally;
  /** Number of the address space of each process; a banner after an exec begins a new one. */
  private readonly spaces = new Map<number, number>();
  private nextSpace = 0;
  private low = 0;
  private high = 0;

  constructor(tally: TraceTally) {
    this.tally = tally;
    this.blocks = new BlockEvents(tally);
  }

  parseLine(bytes: Uint8Array, start: number, end: number, batch: EventBatch): string {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
    const match = LINE.exec(text);
    if (match === null) return text.trim() === "" ? this.ignore() : EXPECTED;
    const [, mark, processText, rest] = match;
    const process = Number(processText);
    if (mark === "==" && BANNER.test(rest)) this.spaces.delete(process);
    const call = mark === "--" ? CALL.exec(rest) : null;
    return call === null ? this.ignore() : this.call(process, call, batch);
  }

  private call(process: number, [, name, given, rest]: RegExpExecArray, batch: EventBatch): string {
    if (name === "realloc") return this.realloc(process, given, rest, batch);
    if (name === "free" || name === "cfree" || OPERATOR_DELETE.test(name)) {
      if (!this.pointer(process, given.split(",")[0])) return `"${name}(0xPTR)"`;
      this.blocks.release(batch, process, this.low, this.high);
      return "";
    }
    const kind = KINDS[name] ?? (OPERATOR_NEW.test(name) ? MALLOC : undefined);
    // malloc_usable_size, malloc_trim and others allocate nothing.
    if (kind === undefined) return this.ignore();
    return this.allocation(process, name, kind, given, rest, batch);
  }

  /** `malloc(SIZE) = 0xPTR`, `calloc(COUNT,SIZE) = …`, `memalign(al ALIGNMENT, size SIZE) = …`. */
  private allocation(
    process: number,
    name: string,
    kind: number,
    given: string,
    rest: string,
    batch: EventBatch,
  ): string {
    const numbers = (given.match(/\d+/g) ?? []).map(Number);
    const alignment = labelled(given, "al(?:ignment)?");
    const size = labelled(given, "size") ?? numbers[kind === CALLOC ? 1 : 0];
    if (size === undefined || !this.result(process, rest)) return `"${name}(…) = 0xPTR"`;
    const isNull = (this.low | this.high) === 0;
    if (size > Number.MAX_SAFE_INTEGER && !isNull) return `"${name}(…)" of at most 2^53 bytes`;
    const made = alignment === undefined ? kind : ALIGNED;
    const offset = made === CALLOC ? numbers[0] : (alignment ?? 0);
    this.blocks.allocate(batch, made, process, this.low, this.high, size, offset);
    return "";
  }

  /** Of null it is a malloc, of 0 bytes a free: the call that does it follows on the same line. */
  private realloc(process: number, given: string, rest: string, batch: EventBatch): string {
    const inner = CALL.exec(rest);
    if (inner !== null) return this.call(process, inner, batch);
    const [pointerText, sizeText = ""] = given.split(",");
    const size = Number(sizeText);
    const isRight = /^\s*\d+$/.test(sizeText) && this.pointer(process, pointerText);
    const { low, high } = this;
    if (!isRight || !this.result(process, rest)) return '"realloc(0xPTR,SIZE) = 0xPTR"';
    if ((this.low | this.high) === 0) this.tally.failedCalls++;
    else this.blocks.arrive(batch, process, this.blocks.leave(low, high), this.low, this.high, size);
    return "";
  }

  private result(process: number, text: string): boolean {
    const match = RESULT.exec(text);
    return match !== null && this.pointer(process, `0x${match[1] ?? "0"}`);
  }

  /** An address, as a block of its process, into `low` and `high`; null stays null. */
  private pointer(process: number, text: string): boolean {
    if (!/^\s*0x[0-9a-f]{1,16}$/i.test(text)) return false;
    const address = BigInt(text.trim());
    this.low = Number(address & 0xffffffffn);
    this.high = Number(address >> 32n);
    if (address !== 0n) this.high = (this.high + this.spaceOf(process) * PROCESS_WORD) >>> 0;
    return true;
  }

  private spaceOf(process: number): number {
    let space = this.spaces.get(process);
    if (space === undefined) {
      space = this.nextSpace++ % MAX_PROCESSES;
      this.spaces.set(process, space);
    }
    return space;
  }

  private ignore(): string {
    this.tally.ignoredLines++;
    return "";
  }
}

const KINDS: Readonly<Record<string, number>> = {
  malloc: MALLOC,
  calloc: CALLOC,
  memalign: ALIGNED,
  aligned_alloc: ALIGNED,
  posix_memalign: ALIGNED,
  valloc: ALIGNED,
  __builtin_new: MALLOC,
  __builtin_vec_new: MALLOC,
};

/** The number after a label: `al 64`, `size 100`. */
function labelled(given: string, label: string): number | undefined {
  const match = new RegExp(`\\b${label} (\\d+)`).exec(given);
  return match === null ? undefined : Number(match[1]);
}
