// The interfaces that a kernel was extended by: which flags and advice exist beyond Linux's, and whose they are.
// Everything of an extension is checked before anything of it is taken. What a hook may do is extension-hooks.ts.

import type { FrameNumber } from "../hardware/integers.ts";
import { SnapshotError } from "../state/error.ts";
import { keepClass, keepMaker } from "../state/kept.ts";
import { MAP_TYPE } from "./abi/mman.ts";
import { type Advice, ExtensionError, type KernelExtension, type MmapFlag } from "./extension.ts";
import { LINUX_ADVICE } from "./mm/madvise.ts";
import type { SystemCallTable } from "./syscall-table.ts";

/**
 * Bits of mmap's flags that Linux has in some meaning, on some architecture: the type, MAP_FIXED to MAP_FIXED_NOREPLACE, and the
 * huge page's size from bit 26 on, whose lowest is MAP_UNINITIALIZED too.
 */
const LINUX_MAP_BITS = MAP_TYPE | 0x1ff9f0 | (0x3f << 26);
const FREE_BITS = Array.from({ length: 32 }, (_, position) => 2 ** position).filter(
  (bit) => (bit & LINUX_MAP_BITS) === 0,
);

/** A hook and the name of the extension that it belongs to. */
export interface Registered<T> {
  readonly extension: string;
  readonly entry: T;
}

export class Extensions {
  /** All bits that extensions have: the one thing that every mmap looks at. */
  mmapFlags = 0;
  private readonly names = new Set<string>();
  private readonly flags: Registered<MmapFlag>[] = [];
  private readonly adviceByNumber = new Map<number, Registered<Advice>>();
  private readonly systemCalls: SystemCallTable;

  constructor(systemCalls: SystemCallTable) {
    this.systemCalls = systemCalls;
  }

  /** The flags that are set in `mapFlags`, in the order of their registration. */
  flagsIn(mapFlags: number): Registered<MmapFlag>[] {
    return this.flags.filter(({ entry }) => (mapFlags & entry.bit) !== 0);
  }

  adviceOf(number: number): Registered<Advice> | undefined {
    return this.adviceByNumber.size === 0 ? undefined : this.adviceByNumber.get(number);
  }

  /** @throws ExtensionError taken, malformed; nothing of the extension is registered then */
  add(extension: KernelExtension): void {
    const { name, systemCalls, mmapFlags, advice } = this.check(extension);
    this.names.add(name);
    for (const { number, name: callName, call } of systemCalls) this.systemCalls.register(number, callName, call);
    for (const entry of mmapFlags) {
      this.flags.push({ extension: name, entry });
      this.mmapFlags |= entry.bit;
    }
    for (const entry of advice) this.adviceByNumber.set(entry.number, { extension: name, entry });
  }

  /** Copies of all that the extension has, each found right. */
  private check(extension: KernelExtension): Required<Omit<KernelExtension, "heldFrames">> {
    if (typeof extension !== "object" || extension === null) throw malformed("", "an object is needed");
    const { name, systemCalls = [], mmapFlags = [], advice = [], heldFrames } = extension;
    if (typeof name !== "string" || name === "") throw malformed("", "its name is a text that is not empty");
    if (this.names.has(name)) throw new ExtensionError("taken", name, "the kernel has it already");
    if (heldFrames !== undefined && typeof heldFrames !== "function") throw malformed(name, "heldFrames is a function");
    return {
      name,
      systemCalls: listOf(name, "systemCalls", systemCalls, (call, others) => this.checkCall(name, call, others)),
      mmapFlags: listOf(name, "mmapFlags", mmapFlags, (flag, others) => this.checkFlag(name, flag, others)),
      advice: listOf(name, "advice", advice, (one, others) => this.checkAdvice(name, one, others)),
    };
  }

  private checkCall(
    extension: string,
    { number, name, call }: NonNullable<KernelExtension["systemCalls"]>[number],
    others: NonNullable<KernelExtension["systemCalls"]>,
  ): void {
    checkNamed(extension, "a system call", name, "call", call);
    if (!Number.isSafeInteger(number) || number < 0) throw malformed(extension, `${name}'s number is a whole number`);
    const taken = this.systemCalls.ownerOf(number) ?? others.find((other) => other.number === number)?.name;
    if (taken !== undefined) throw new ExtensionError("taken", extension, `number ${number} of ${name} is ${taken}'s`);
    if (this.systemCalls.has(name) || others.some((other) => other.name === name))
      throw new ExtensionError("taken", extension, `there is a system call ${name} already`);
  }

  private checkFlag(extension: string, { name, bit, mmap }: MmapFlag, others: readonly MmapFlag[]): void {
    checkNamed(extension, "a flag of mmap", name, "mmap", mmap);
    if (!Number.isInteger(bit) || bit <= 0 || bit > 2 ** 31 || (bit & (bit - 1)) !== 0)
      throw malformed(extension, `${name} is one bit of 32, not ${String(bit)}`);
    if ((bit & LINUX_MAP_BITS) !== 0)
      throw new ExtensionError("taken", extension, `Linux has bit ${hex(bit)} of ${name}; ${freeBits()} are free`);
    const owner = this.flagsIn(bit)[0];
    const other = owner?.entry ?? others.find((one) => one.bit === bit);
    if (other === undefined) return;
    const whose = owner === undefined ? "" : ` of extension "${owner.extension}"`;
    throw new ExtensionError("taken", extension, `bit ${hex(bit)} of ${name} is that of ${other.name}${whose}`);
  }

  private checkAdvice(extension: string, { name, number, madvise }: Advice, others: readonly Advice[]): void {
    checkNamed(extension, "an advice", name, "madvise", madvise);
    if (!Number.isInteger(number) || number < 0 || number >= 2 ** 31)
      throw malformed(extension, `${name}'s number is a whole number below 2^31, not ${String(number)}`);
    const owner = this.adviceByNumber.get(number);
    const other = owner?.entry ?? others.find((one) => one.number === number);
    const holder = LINUX_ADVICE.has(number) ? "Linux's" : other === undefined ? "" : `that of ${other.name}`;
    if (holder !== "") throw new ExtensionError("taken", extension, `number ${number} of ${name} is ${holder}`);
  }
}

keepClass("Extensions", Extensions);

/** What of checkInvariants an extension answers for. A snapshot that leaves its function out keeps the frames that it held then. */
class HeldFrames {
  private readonly name: string;
  private readonly heldFrames: () => Iterable<FrameNumber>;
  private readonly frameCount: number;
  private kept: readonly FrameNumber[] = [];

  constructor(name: string, heldFrames: () => Iterable<FrameNumber>, frameCount: number) {
    this.name = name;
    this.heldFrames = heldFrames;
    this.frameCount = frameCount;
  }

  /** @throws ExtensionError hook: it holds a frame that there is not */
  now(): readonly FrameNumber[] {
    const held = this.ask();
    const wrong = held.find((frame) => !Number.isInteger(frame) || frame < 0 || frame >= this.frameCount);
    if (wrong !== undefined) throw new ExtensionError("hook", this.name, `heldFrames names frame ${String(wrong)}`);
    return held;
  }

  keep(): void {
    this.kept = this.ask();
  }

  private ask(): readonly FrameNumber[] {
    try {
      return [...this.heldFrames()];
    } catch (error) {
      if (error instanceof SnapshotError) return this.kept;
      throw error;
    }
  }
}

keepClass("HeldFrames", HeldFrames, { settle: (held) => held.keep() });

const askedOf = keepMaker("extension.heldFrames", (held: HeldFrames) => () => held.now());

export function heldFramesOf(
  name: string,
  heldFrames: () => Iterable<FrameNumber>,
  frameCount: number,
): () => readonly FrameNumber[] {
  return askedOf(new HeldFrames(name, heldFrames, frameCount));
}

function listOf<T extends object>(
  extension: string,
  field: string,
  given: readonly T[],
  check: (entry: T, others: readonly T[]) => void,
): T[] {
  if (!Array.isArray(given)) throw malformed(extension, `${field} is an array`);
  const copies: T[] = [];
  for (const entry of given) {
    if (typeof entry !== "object" || entry === null) throw malformed(extension, `${field} holds objects`);
    // Each field is read once: what was checked is what is used.
    const copy = { ...entry };
    check(copy, copies);
    copies.push(copy);
  }
  return copies;
}

function checkNamed(extension: string, what: string, name: unknown, field: string, hook: unknown): void {
  if (typeof name !== "string" || name === "") throw malformed(extension, `${what} has a name`);
  if (typeof hook !== "function") throw malformed(extension, `${name} has a function ${field}`);
}

function malformed(extension: string, message: string): ExtensionError {
  return new ExtensionError("malformed", extension, extension === "" ? `an extension: ${message}` : message);
}

function hex(bit: number): string {
  return `0x${bit.toString(16)}`;
}

function freeBits(): string {
  return FREE_BITS.map(hex).join(", ");
}
