// The program that recorded cases drive: one process on a machine with MTE, its area, and the operations on tags and bytes
// that all kinds of cases share. Steps with system calls are in cases.ts and scripts.ts.
import { loadBytes, storeBytes } from "../../../platform/hardware/access.ts";
import { GRANULE_SIZE } from "../../../platform/hardware/layout.ts";
import type { Memory } from "../../../platform/hardware/memory.ts";
import * as mte from "../../../platform/hardware/mte.ts";
import { tagOf, withTag } from "../../../platform/hardware/tags.ts";
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_MTE,
  PROT_READ,
  PROT_WRITE,
} from "../../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { oneOf } from "./names.ts";
import { bytesOf, type Fault, hexOf, observe } from "./observed.ts";

/** Where the area of every case lies: page-aligned, with nothing near it. */
export const AREA = 2 ** 32;
const MEMORY_BYTES = 16 * 2 ** 20;
export const READ_WRITE_MTE = PROT_READ | PROT_WRITE | PROT_MTE;

const kernels = new Map<number, Kernel>();

/** A kernel on a machine whose DC GVA block has this size; cases share it, since each leaves nothing behind. */
export function kernelWithBlock(blockBytes: number): Kernel {
  let kernel = kernels.get(blockBytes);
  if (kernel === undefined) {
    kernel = new Kernel({ memoryBytes: MEMORY_BYTES, gzvaBlockBytes: blockBytes });
    kernels.set(blockBytes, kernel);
  }
  return kernel;
}

/** The tag stores and block operations that all kinds of cases share. */
export const tagStores = [
  ...(["stg", "stzg", "st2g", "stz2g", "stgp"] as const),
  ...(["gva", "gzva", "zva", "ldgm", "stgm", "stzgm"] as const),
];

/** Drops the kernels: after a case that broke off, its processes are still there. */
export function forgetKernels(): void {
  kernels.clear();
}

export class Program {
  readonly process: Process;
  readonly base: number;

  /** @param base address of the byte that the case calls 0 */
  constructor(process: Process, base: number) {
    this.process = process;
    this.base = base;
  }

  get memory(): Memory {
    return this.process.memory;
  }

  pointer(at: number, tag = 0): number {
    return withTag(this.base + at, tag);
  }

  /** Maps private anonymous pages, readable, writable and with PROT_MTE, at the offset `at`. */
  map(at: number, length: number, prot = READ_WRITE_MTE): void {
    this.process.mmap(this.base + at, length, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
  }

  /** Stores host bytes without a look at the tags there. */
  poke(at: number, bytes: Uint8Array): void {
    this.unchecked(() => this.memory.write(this.pointer(at), bytes));
  }

  peek(at: number, length: number): Uint8Array {
    return this.unchecked(() => this.memory.read(this.pointer(at), length));
  }

  /** STG of each granule from `at`, one hex digit a tag. */
  setTags(at: number, digits: string): void {
    for (let index = 0; index < digits.length; index++) {
      mte.stg(this.memory, this.pointer(at + index * GRANULE_SIZE), withTag(0, Number.parseInt(digits[index], 16)));
    }
  }

  /** LDG of `count` granules. */
  getTags(at: number, count: number): string {
    let digits = "";
    for (let index = 0; index < count; index++) {
      digits += tagOf(mte.ldg(this.memory, this.pointer(at + index * GRANULE_SIZE))).toString(16);
    }
    return digits;
  }

  load(at: number, tag: number, size: number): { value: string; fault: Fault | null } {
    const bytes = new Uint8Array(size);
    const fault = observe(this.base, () => loadBytes(this.memory, this.pointer(at, tag), bytes));
    return { value: hexOf(bytes), fault };
  }

  store(at: number, tag: number, value: string): Fault | null {
    return observe(this.base, () => storeBytes(this.memory, this.pointer(at, tag), bytesOf(value)));
  }

  /** One of {@link tagStores}, ready to run. @throws MalformedCase for another operation */
  tagStore(step: TagStoreStep): () => void {
    const operation = oneOf("instruction", step.op, tagStores);
    const { memory } = this;
    const pointer = this.pointer(step.at, step.ptag ?? 0);
    const register = withTag(0, step.vtag ?? 0);
    switch (operation) {
      case "stg":
        return () => mte.stg(memory, pointer, register);
      case "stzg":
        return () => mte.stzg(memory, pointer, register);
      case "st2g":
        return () => mte.st2g(memory, pointer, register);
      case "stz2g":
        return () => mte.stz2g(memory, pointer, register);
      case "stgp": {
        const view = new DataView(bytesOf(step.value ?? "").buffer);
        return () => mte.stgp(memory, pointer, view.getBigUint64(0, true), view.getBigUint64(8, true));
      }
      case "gva":
        return () => mte.dcGva(memory, pointer);
      case "gzva":
        return () => mte.dcGzva(memory, pointer);
      case "zva":
        return () => mte.dcZva(memory, pointer);
      case "ldgm":
        return () => mte.ldgm(memory, pointer);
      case "stgm":
        return () => mte.stgm(memory, pointer);
      case "stzgm":
        return () => mte.stzgm(memory, pointer);
    }
  }

  /** Runs `action` with TCO set. */
  unchecked<T>(action: () => T): T {
    const before = this.memory.tco;
    this.memory.tco = true;
    try {
      return action();
    } finally {
      this.memory.tco = before;
    }
  }

  end(): void {
    this.process.exit(0);
  }
}

export interface TagStoreStep {
  readonly op: string;
  readonly at: number;
  readonly ptag?: number;
  readonly vtag?: number;
  readonly value?: string;
}
