// The words that the reference-page scenarios are written in: one function a step, with the answer that R1–R12 ask for.
// Addresses are byte offsets in the window; `page(n)` is where page n starts. No simulator runs here: nothing is recorded.
import { encodeCharacters } from "../../../bench/conformance/runs.ts";
import type { Answer, Script, Step, VmaRow } from "../../../bench/conformance/script.ts";

export interface Scenario {
  readonly script: Script;
  /** What it is about, for scenarios.txt. */
  readonly sentence: string;
}

export type Policy = "nozero" | "double" | "plumbed";

export function scenario(
  name: string,
  sentence: string,
  steps: readonly (Step | readonly Step[])[],
  policy?: Policy,
): Scenario {
  const script = { name, ...(policy === undefined ? {} : { policy }), steps: steps.flat() as Step[] };
  return { script, sentence };
}

export const PAGE = 4096;
export const page = (number: number): number => number * PAGE;

export const NONE = 0;
export const READ = 1;
export const WRITE = 2;
export const RW = READ | WRITE;
export const EXEC = 4;

export const SHARED = 1;
export const PRIVATE = 2;
export const SHARED_VALIDATE = 3;
export const FIXED = 0x10;
export const ANONYMOUS = 0x20;
export const GROWSDOWN = 0x100;
export const LOCKED = 0x2000;
export const NORESERVE = 0x4000;
export const POPULATE = 0x8000;
export const SYNC = 0x80000;
export const FIXED_NOREPLACE = 0x100000;

export const MAYMOVE = 1;
export const MREMAP_FIXED = 2;
export const DONTUNMAP = 4;

/** What a step answers when the call fails, or the access is refused. */
export const fails = (err: string, flt = 0): Answer => ({ err, ...faults(flt) });
export const segv = (code: "MAPERR" | "ACCERR", at: number): Answer => ({ sig: "SIGSEGV", code: `SEGV_${code}`, at });
export const returns = (ret: number | string, flt = 0): Answer => ({ ret, ...faults(flt) });
const faults = (flt: number): Answer => (flt === 0 ? {} : { flt });

/** The step as another process takes it. */
export const by = (p: number, step: Step): Step => {
  const { op, ...rest } = step;
  return { op, p, ...rest } as Step;
};

// Mappings

interface MapOptions {
  readonly prot?: number;
  readonly flags?: number;
  readonly off?: number;
  readonly keep?: string;
  readonly want?: Answer;
}

/** A private mapping of a descriptor, fixed at a page. */
export function map(fd: string | number, at: number, pages: number, options: MapOptions = {}): Step {
  const { prot = RW, flags = PRIVATE | FIXED, off = 0, keep, want = returns(page(at)) } = options;
  const given = { op: "mmap", addr: page(at), len: page(pages), prot, flags, fd, off };
  return { ...given, ...(keep === undefined ? {} : { keep }), want };
}

export function anonymous(at: number, pages: number, options: MapOptions = {}): Step {
  return map(-1, at, pages, { ...options, flags: (options.flags ?? PRIVATE | FIXED) | ANONYMOUS });
}

export const munmap = (at: number, pages: number, want = returns(0)): Step => ({
  op: "munmap",
  addr: page(at),
  len: page(pages),
  want,
});

export const mprotect = (at: number, pages: number, prot: number, want = returns(0)): Step => ({
  op: "mprotect",
  addr: page(at),
  len: page(pages),
  prot,
  want,
});

export const madvise = (at: number, pages: number, advice: number, want = returns(0)): Step => ({
  op: "madvise",
  addr: page(at),
  len: page(pages),
  advice,
  want,
});

interface MoveOptions {
  readonly newPages?: number;
  readonly flags?: number;
  readonly to?: number;
  readonly keep?: string;
}

export function mremap(at: number, pages: number, options: MoveOptions, want: Answer): Step {
  const { newPages = pages, flags = MAYMOVE | MREMAP_FIXED, to = 0, keep } = options;
  const given = { op: "mremap", addr: page(at), len: page(pages), newlen: page(newPages), flags, newaddr: page(to) };
  return { ...given, ...(keep === undefined ? {} : { keep }), want };
}

export const mlock = (at: number, pages: number, want: Answer): Step => ({
  op: "mlock",
  addr: page(at),
  len: page(pages),
  want,
});
export const munlock = (at: number, pages: number): Step => ({
  op: "munlock",
  addr: page(at),
  len: page(pages),
  want: returns(0),
});
export const mlock2 = (at: number, pages: number, flags: number, want: Answer): Step => ({
  op: "mlock2",
  addr: page(at),
  len: page(pages),
  flags,
  want,
});
export const msync = (at: number, pages: number, flags: number, want = returns(0)): Step => ({
  op: "msync",
  addr: page(at),
  len: page(pages),
  flags,
  want,
});
export const mincore = (at: number, pages: number, picture: string): Step => ({
  op: "mincore",
  addr: page(at),
  len: page(pages),
  want: { ret: 0, vec: encodeCharacters(picture) },
});
export const rlimit = (which: string, value: number): Step => ({ op: "rlimit", which, value, want: returns(0) });

// Loads and stores

/** A load that sees `value` and costs `flt` faults. */
export const load = (addr: number | string, value: number, flt = 0): Step => ({
  op: "load",
  addr,
  want: returns(value, flt),
});
export const loadFails = (addr: number | string, want: Answer): Step => ({ op: "load", addr, want });
export const store = (addr: number | string, value: number, flt = 0): Step => ({
  op: "store",
  addr,
  value,
  want: returns(0, flt),
});
export const storeFails = (addr: number, value: number, want: Answer): Step => ({ op: "store", addr, value, want });
export const fill = (addr: number, len: number, value: number, flt: number): Step => ({
  op: "fill",
  addr,
  len,
  value,
  want: returns(0, flt),
});
export const copy = (to: number, from: number, len: number, flt: number): Step => ({
  op: "copy",
  to,
  from,
  len,
  want: returns(0, flt),
});
/** A look at every byte: `[value, count]` in order. */
export const dump = (addr: number, runs: readonly [number, number][], flt = 0): Step => ({
  op: "dump",
  addr,
  len: runs.reduce((sum, [, count]) => sum + count, 0),
  want: { runs, ...faults(flt) },
});

// Files

export const memfd = (size: number, handle: number): Step => ({ op: "memfd", size, want: returns(handle) });
/** `refpage_create(content, flags)`: the ABI of the patch. */
export const create = (content: number | string, want: Answer, flags = 0): Step => ({
  op: "refpage_create",
  abi: 1,
  content,
  flags,
  want,
});
/** `refpage_create(content, size, flags)`: the ABI that the thread agreed on. */
export const create2 = (content: number | string, size: number, want: Answer, flags = 0): Step => ({
  op: "refpage_create",
  abi: 2,
  content,
  size,
  flags,
  want,
});
export const dup = (fd: string, want: Answer): Step => ({ op: "dup", fd, want });
export const close = (fd: string, want = returns(0)): Step => ({ op: "close", fd, want });
export const reopen = (fd: string, mode: number, want: Answer): Step => ({ op: "reopen", fd, mode, want });

// Processes

export const fork = (child: number): Step => ({ op: "fork", want: returns(child) });
export const exit = (p: number): Step => ({ op: "exit", p, want: returns(0) });
export const pvmRead = (target: number, local: number, remote: number, len: number, want: Answer): Step => ({
  op: "process_vm_readv",
  target,
  local: [[local, len]],
  remote: [[remote, len]],
  flags: 0,
  want,
});
export const pvmWrite = (target: number, local: number, remote: number, len: number, want: Answer): Step => ({
  op: "process_vm_writev",
  target,
  local: [[local, len]],
  remote: [[remote, len]],
  flags: 0,
  want,
});

// Looking at the address space

interface AreaOptions {
  readonly perm?: string;
  readonly object?: string;
  readonly offset?: number;
  /** Private pages mapped by this process only. */
  readonly own?: number;
  /** Private pages that MADV_FREE made clean. */
  readonly freed?: number;
  /** Clean pages of the file itself, mapped by this process only. */
  readonly filePages?: number;
  /** Private pages shared with one other process. */
  readonly shared?: number;
  readonly locked?: boolean;
  /** VmFlags other than those that `perm` gives, in smaps's order around `ac`. */
  readonly flags?: string;
}

/** A row of smaps: clean pages are in none of its sums (R4). */
export function area(start: number, end: number, options: AreaOptions = {}): VmaRow {
  const {
    perm = "rw-p",
    object = "r0",
    offset = 0,
    own = 0,
    freed = 0,
    filePages = 0,
    shared = 0,
    locked = false,
  } = options;
  const anonymous = own + freed + shared;
  const pss = 4 * (own + freed + filePages) + 2 * shared;
  const flags = options.flags ?? flagsOf(perm);
  return [
    start,
    end,
    perm,
    object,
    offset,
    anonymous + filePages,
    pss,
    0,
    shared,
    freed + filePages,
    own,
    anonymous,
    locked ? pss : 0,
    flags,
  ];
}

/** VmFlags of a private mapping that nothing special was asked of; `ac` is kept by what was ever writable. */
function flagsOf(perm: string): string {
  const now = `${perm[0] === "r" ? "rd " : ""}${perm[1] === "w" ? "wr " : ""}${perm[2] === "x" ? "ex " : ""}`;
  return `${now}mr mw me${perm[1] === "w" ? " ac" : ""}`;
}

interface ObserveOptions {
  readonly lck?: number;
  /** Frames zeroed, frames filled, bytes filled by the kernel since the start. */
  readonly init?: readonly [number, number, number];
}

/** `pages` is written out, one character a page; mincore follows: what is present is resident. */
export function observe(vmas: readonly VmaRow[], pages: string, { lck = 0, init }: ObserveOptions = {}): Step {
  const mincore = encodeCharacters(pages.replace(/[zZAaFfHhLl]/g, "R").replace(/G/g, "."));
  const want = { vmas, pages: encodeCharacters(pages), mincore, lck, ...(init === undefined ? {} : { init }) };
  return { op: "observe", want };
}

// Preludes

/** Page where scenarios keep what a reference page is made from. */
export const CONTENT = 900;

/** Handle 0 becomes a reference page of 4,096 times `byte`; the page that it was made from is gone again. Handle `h${handle}`. */
export function reference(byte = 0xaa, handle = 0): Step[] {
  return [
    anonymous(CONTENT, 1),
    fill(page(CONTENT), PAGE, byte, 1),
    create(page(CONTENT), returns(handle)),
    munmap(CONTENT, 1),
  ];
}
