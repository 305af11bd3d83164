// Drawn programs as scripts in the format of the kernel recordings, without answers. It keeps in mind, roughly, which ranges are
// mapped, which processes live and which files are open, so that most steps mean something; not all do, and they are to be refused.
import { roundDown } from "../../allocator/common/rounding.ts";
import type { Script, Step } from "../../bench/conformance/script.ts";
import type { DrawnProgram, DrawnStep } from "./drawn.ts";

const PAGE = 4096;
const HUGE_PAGES = 512;
/** Pages that a program of small pages works in, and one of huge pages. */
const SMALL_REGION = 48;
const HUGE_REGION = 5 * HUGE_PAGES;
const MOST_PROCESSES = 6;
/** No process has this number. */
const NO_SUCH_PROCESS = 9;

/** Lengths and addresses at which arithmetic turns over. */
const ODD_LENGTHS = [0, 0, 2 ** 47, 2 ** 47 + 4096, 2 ** 48, 2 ** 52];
const MISALIGNED = [1, 8, 16, 100, 2048, 4095];
const PLACES_IN_PAGE = [0, 0, 1, 7, 100, 2048, 4094, 4095];
const SMALL_LENGTHS = [1, 4, 8, 64, 100, 1000, 4096, 8192, 12000, 16384];

const PROTECTIONS = [3, 3, 3, 3, 3, 3, 1, 1, 0, 0, 7, 5, 2];
const ODD_PROTECTIONS = [64, 65, 67, 256, 259, 0x1000001, 0x1000003, 0x2000003, 0x3000003];
const SMALL_ADVICE = [
  4, 4, 4, 4, 4, 23, 23, 22, 22, 8, 8, 18, 18, 10, 9, 24, 3, 19, 11, 20, 2, 1, 17, 16, 0, 102, 103, 21, 200,
];
const HUGE_ADVICE = [4, 4, 4, 4, 23, 23, 22, 15, 8, 8, 102, 102, 103, 20, 20, 18, 16, 10, 24, 11, 17, 19, 14, 9, 3];

/** `env` of scripts about huge pages: the core more often than the worlds beyond it. */
const SETTINGS = [
  ...Array.from({ length: 8 }, () => ({ thp: "madvise", zero: 1, sizes: "2M", shmem: "never" })),
  ...Array.from({ length: 5 }, () => ({ thp: "always", zero: 1, sizes: "2M", shmem: "never" })),
  { thp: "madvise", zero: 0, sizes: "2M", shmem: "never" },
  { thp: "always", zero: 0, sizes: "2M", shmem: "never" },
  { thp: "never", zero: 1, sizes: "2M", shmem: "never" },
  { thp: "madvise", zero: 1, sizes: "64K+2M", shmem: "never" },
  { thp: "always", zero: 1, sizes: "64K+2M", shmem: "never" },
  { thp: "madvise", zero: 1, sizes: "64K", shmem: "never" },
  { thp: "always", zero: 1, sizes: "16K+64K+1024K", shmem: "never" },
  { thp: "madvise", zero: 1, sizes: "2M", shmem: "advise" },
];

interface Range {
  /** In pages from the window's start. */
  readonly start: number;
  readonly pages: number;
}

/** Bytes that a processor may load before it stores what it has loaded. */
const LEAST_DISTANCE = 64;

function oneOf<T>(values: readonly T[], number: number): T {
  return values[number % values.length];
}

class ScriptWriter {
  readonly steps: Step[] = [];
  private readonly ranges: Range[] = [];
  private readonly alive = [0];
  private processes = 1;
  private handles = 0;
  private value = 0;
  private readonly base: number;
  private readonly isHuge: boolean;

  constructor(base: number, isHuge: boolean) {
    this.base = base;
    this.isHuge = isHuge;
  }

  write(drawn: DrawnStep): void {
    const p = oneOf(this.alive, drawn.who);
    const given = this.argumentsOf(drawn, p);
    if (given === undefined) return;
    const { op = drawn.op, ...others } = given as { readonly op?: string };
    this.steps.push({ op, ...(p === 0 ? {} : { p }), ...others, want: {} });
  }

  /** What every process sees at the end. */
  end(): void {
    const [addr, len] = [this.base * PAGE, (this.isHuge ? HUGE_REGION + 2 * HUGE_PAGES : SMALL_REGION + 16) * PAGE];
    for (const op of ["observe", this.isHuge ? "probe" : "dump", "observe"]) {
      for (const p of this.alive) this.steps.push({ op, p, ...(op === "observe" ? {} : { addr, len }), want: {} });
    }
  }

  private get regionPages(): number {
    return this.isHuge ? HUGE_REGION : SMALL_REGION;
  }

  /** Pages at which something may begin. */
  private place({ at, shape }: DrawnStep): number {
    if (!this.isHuge) return this.base + (at % SMALL_REGION);
    const block = (at % (HUGE_REGION / HUGE_PAGES)) * HUGE_PAGES;
    return block + oneOf([0, 0, 0, 0, 256, 511, 1, at % HUGE_PAGES, 16, 500], shape);
  }

  private lengthOfNew({ size }: DrawnStep): number {
    if (!this.isHuge) return oneOf([1, 2, 2, 3, 4, 4, 6, 8, 12], size);
    return oneOf([512, 512, 512, 1024, 1024, 1536, 256, 511, 513, 600, 20, 2], size);
  }

  /** A range for a call: one that was mapped, a part of it, or one that reaches beyond it. */
  private range(drawn: DrawnStep): Range {
    const { pick, shape, at, size } = drawn;
    const known = this.ranges.length > 0 && pick % 16 !== 0;
    const { start, pages } = known
      ? oneOf(this.ranges, pick >> 4)
      : { start: this.place(drawn), pages: this.lengthOfNew(drawn) };
    const inside = at % pages;
    const short = this.isHuge ? oneOf([1, 2, 3, 5, 16, 20, 64, 100, 511, 512], size) : 1 + (size % 5);
    const block = start - (start % HUGE_PAGES) + oneOf([0, HUGE_PAGES, 2 * HUGE_PAGES], at);
    switch (this.isHuge ? shape % 10 : shape % 7) {
      case 0:
      case 1:
        return { start, pages };
      case 2:
        return { start: start + inside, pages: 1 };
      case 3:
        return { start: start + inside, pages: short };
      case 4:
        return { start, pages: Math.min(pages, short) };
      case 5:
        return { start: start + Math.max(0, pages - short), pages: short };
      case 6:
        return { start: Math.max(0, start - (size % 2)), pages: pages + (size % 3) };
      case 7:
        return { start: block, pages: HUGE_PAGES };
      case 8:
        return { start: block + (size % 2) * (HUGE_PAGES / 2), pages: HUGE_PAGES / 2 };
      default:
        return { start: block + (inside % HUGE_PAGES), pages: short };
    }
  }

  /** `addr` and `len` of a call, now and then odd ones. */
  private span(drawn: DrawnStep): { addr: number; len: number } {
    const { start, pages } = this.range(drawn);
    const { odd } = drawn;
    const addr = start * PAGE + (odd % 23 === 0 ? oneOf(MISALIGNED, odd >> 5) : 0);
    if (odd % 17 === 1) return { addr, len: oneOf(ODD_LENGTHS, odd >> 5) };
    return { addr, len: pages * PAGE - (odd % 11 === 1 ? odd % 2000 : 0) };
  }

  /** An address of an access, or of a buffer. */
  private spot(drawn: DrawnStep): number {
    const { start, pages } = this.range(drawn);
    return (start + (drawn.other % pages)) * PAGE + oneOf(PLACES_IN_PAGE, drawn.other >> 8);
  }

  private bufferLength({ size }: DrawnStep): number {
    return oneOf(this.isHuge ? SMALL_LENGTHS.slice(0, 8) : SMALL_LENGTHS, size);
  }

  private handle({ odd, other }: DrawnStep): string | number {
    if (this.handles === 0 || odd % 13 === 0) return oneOf([-1, "bad", "pipe", "h99"], odd >> 4);
    return `h${other % this.handles}`;
  }

  private nextValue(): number {
    this.value = (this.value % 250) + 1;
    return this.value;
  }

  private protection({ choice, odd }: DrawnStep): number {
    return odd % 19 === 2 ? oneOf(ODD_PROTECTIONS, choice) : oneOf(PROTECTIONS, choice);
  }

  private readonly map = (drawn: DrawnStep): object => {
    const { choice, odd, other } = drawn;
    const file = this.handles > 0 && other % 3 === 0;
    const isFixed = choice % 8;
    let flags = isFixed < 5 ? 0x10 : isFixed < 7 ? 0x10_0000 : 0;
    flags |= (choice >> 3) % (file ? 2 : 5) === 0 ? 1 : 2;
    if (!file) flags |= 0x20;
    flags |= oneOf([0, 0, 0, 0, 0, 0x8000, 0x4000, 0x2000, 0x100, 0xc000], choice >> 6);
    const range = odd % 7 === 0 ? this.range(drawn) : { start: this.place(drawn), pages: this.lengthOfNew(drawn) };
    const span = odd % 29 === 3 ? this.span(drawn) : { addr: range.start * PAGE, len: range.pages * PAGE };
    const room = (this.isHuge ? 8 * HUGE_PAGES : 1024) * PAGE;
    if (span.addr + span.len < room)
      this.ranges.push({ start: Math.floor(span.addr / PAGE), pages: Math.max(1, range.pages) });
    const fd = file ? this.handle(drawn) : -1;
    const off = file
      ? oneOf([0, 0, 1, 2, 4, this.isHuge ? HUGE_PAGES : 3], other >> 4) * PAGE
      : odd % 31 === 0
        ? 100
        : 0;
    return { ...span, prot: this.protection(drawn), flags, fd, off };
  };

  private readonly move = (drawn: DrawnStep): object => {
    const { choice, size, odd, other } = drawn;
    const { addr, len } = this.span(drawn);
    const flags = odd % 19 === 4 ? oneOf([2, 4, 6, 8, 17], choice) : oneOf([3, 3, 3, 0, 0, 1, 1, 7, 7, 5], choice);
    const grown = oneOf(this.isHuge ? [1, 16, 256, 512] : [1, 2, 3], size);
    const newlen = oneOf(
      [len, len, len, len + grown * PAGE, Math.max(PAGE, len - grown * PAGE), odd % 5 === 0 ? 0 : len],
      other,
    );
    const start = this.place({ ...drawn, at: other, shape: choice >> 4 });
    const newaddr = start * PAGE + (odd % 37 === 0 ? 100 : 0);
    if ((flags & 2) !== 0)
      this.ranges.push({ start, pages: Math.max(1, Math.min(this.regionPages, Math.ceil(newlen / PAGE))) });
    return { addr, len, newlen: Math.max(0, newlen), flags, newaddr };
  };

  private readonly transfer = (drawn: DrawnStep): object => {
    const { at, size, other, odd } = drawn;
    const target = odd % 11 === 0 ? NO_SUCH_PROCESS : oneOf(this.alive, other);
    const pair = (shift: number): [number, number] => {
      const turned = {
        ...drawn,
        pick: drawn.pick + shift * 16,
        at: at + shift,
        size: size >> shift,
        other: other >> shift,
      };
      // Where source and destination overlap by less, the bytes depend on how the processor copies.
      return [roundDown(this.spot(turned), LEAST_DISTANCE), roundDown(this.bufferLength(turned), LEAST_DISTANCE)];
    };
    const local = at % 4 === 0 ? [pair(0), pair(1)] : [pair(0)];
    const remote = at % 5 === 0 ? [pair(2), pair(3)] : [pair(2)];
    return { target, local, remote, flags: odd % 41 === 0 ? 1 : 0 };
  };

  private fork(): object | undefined {
    if (this.processes === MOST_PROCESSES) return undefined;
    this.alive.push(this.processes++);
    return {};
  }

  private exit(p: number): object | undefined {
    if (this.alive.length === 1 || p === 0) return undefined;
    this.alive.splice(this.alive.indexOf(p), 1);
    return {};
  }

  private memfd({ size, odd }: DrawnStep): object | undefined {
    if (this.handles > 20) return undefined;
    this.handles++;
    const pages = oneOf(this.isHuge ? [512, 1024, 600, 40] : [0, 1, 3, 4, 5, 8, 40], size);
    return { size: Math.max(0, pages * PAGE - (odd % 3 === 0 ? odd % 4096 : 0)) };
  }

  private reopen(drawn: DrawnStep): object | undefined {
    const fd = this.handle(drawn);
    if (typeof fd !== "string" || !fd.startsWith("h") || fd === "h99" || this.handles > 20) return undefined;
    this.handles++;
    return { fd, mode: drawn.choice % 3 };
  }

  private offset({ at, odd }: DrawnStep): number {
    return oneOf([0, PAGE, 2 * PAGE, this.isHuge ? HUGE_PAGES * PAGE : 3 * PAGE, odd % 20_000], at);
  }

  private argumentsOf(drawn: DrawnStep, p: number): object | undefined {
    const { op, choice, odd } = drawn;
    switch (op) {
      case "mmap":
        return this.map(drawn);
      case "mremap":
        return this.move(drawn);
      case "load":
        return { addr: this.spot(drawn) };
      case "store":
        return { addr: this.spot(drawn), value: this.nextValue() };
      case "fill":
        return { addr: this.spot(drawn), len: this.bufferLength(drawn), value: this.nextValue() };
      case "copy":
        return { to: this.spot({ ...drawn, pick: odd }), from: this.spot(drawn), len: this.bufferLength(drawn) };
      case "touch": {
        const { start, pages } = this.range(drawn);
        return { addr: start * PAGE, len: pages * PAGE, value: this.nextValue() };
      }
      case "probe": {
        const { start, pages } = this.range(drawn);
        return { addr: start * PAGE, len: pages * PAGE };
      }
      case "pipe_write":
        return { addr: this.spot(drawn), len: this.bufferLength(drawn) };
      case "pipe_read":
        return { addr: this.spot(drawn), len: this.bufferLength(drawn), value: this.nextValue() };
      case "advise":
        return {
          op: "madvise",
          ...this.span({ ...drawn, shape: choice % 5 === 0 ? drawn.shape : 0, odd: 5 }),
          advice: 14,
        };
      case "collapse":
        return { op: "madvise", ...this.span({ ...drawn, odd: 5 }), advice: 25 };
      case "madvise":
        // Advice for all addresses would reach the memory of the recorder.
        return {
          ...this.span({ ...drawn, odd: odd % 17 === 1 ? 5 : odd }),
          advice: oneOf(this.isHuge ? HUGE_ADVICE : SMALL_ADVICE, choice),
        };
      case "mprotect":
        return { ...this.span(drawn), prot: this.protection(drawn) };
      case "msync":
        return { ...this.span(drawn), flags: oneOf([0, 1, 2, 4, 5, 7, 8], choice) };
      case "mlock2":
        return { ...this.span(drawn), flags: choice % 5 === 0 ? 0 : 1 };
      case "munmap":
      case "mlock":
      case "munlock":
      case "mincore":
        return this.span(drawn);
      case "process_vm_readv":
      case "process_vm_writev":
        return this.transfer(drawn);
      case "fork":
        return this.fork();
      case "exit":
        return this.exit(p);
      case "rlimit":
        return {
          which: oneOf(["MEMLOCK", "AS", "DATA", "NOFILE"], choice),
          value: oneOf([0, 2, 8, 30, 600, 2000], odd),
        };
      case "thp_disable":
        return odd % 3 === 0 ? { op: "thp_disabled" } : { value: choice % 2, flags: odd % 4 === 1 ? 2 : 0 };
      default:
        return this.fileArguments(drawn);
    }
  }

  private fileArguments(drawn: DrawnStep): object | undefined {
    const fd = this.handle(drawn);
    const off = this.offset(drawn);
    switch (drawn.op) {
      case "memfd":
        return this.memfd(drawn);
      case "reopen":
        return this.reopen(drawn);
      case "close":
        return fd === "pipe" ? undefined : { fd };
      case "ftruncate":
        return { fd, size: off };
      case "fpunch":
        return {
          fd,
          off,
          len: oneOf(this.isHuge ? [PAGE, 8192, 5000, 2 ** 20, 2 ** 21] : [PAGE, 8192, 5000, 100], drawn.size),
        };
      case "fwrite":
        return { fd, off, len: this.bufferLength(drawn), value: this.nextValue() };
      case "fread":
        return { fd, off, len: this.bufferLength(drawn) };
      case "write":
      case "read":
        return { fd, addr: this.spot(drawn), len: this.bufferLength(drawn), off };
      default:
        return {};
    }
  }
}

/** The script of a program about small pages. */
export function linuxScript({ theme, base, steps }: DrawnProgram): Script {
  return scriptOf(theme, steps, new ScriptWriter(base, false));
}

/** The script of a program about huge pages. */
export function hugeScript({ theme, settings, steps }: DrawnProgram): Script {
  return { ...scriptOf(theme, steps, new ScriptWriter(0, true)), env: oneOf(SETTINGS, settings) };
}

function scriptOf(theme: string, steps: readonly DrawnStep[], writer: ScriptWriter): Script {
  for (const step of steps) writer.write(step);
  writer.end();
  return { name: "found", theme, steps: writer.steps };
}
