// Processes of a kernel, each beside its plain model, and the steps that fuzzers of mappings share: what is done is done to both, and
// they must agree on the answer and, at the end, on every byte.
import { SegmentationFault } from "../../platform/hardware/faults.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { SystemError } from "../../platform/kernel/abi/errors.ts";
import { MADV_DONTNEED, PROT_READ, PROT_WRITE } from "../../platform/kernel/abi/mman.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { expect } from "../harness/expect.ts";
import { PlainProcess } from "./plain-model.ts";

export interface Pair {
  readonly process: Process;
  readonly plain: PlainProcess;
  alive: boolean;
}

/** A step on some pages, numbered from address 0. */
export interface SharedStep {
  readonly op: "unmap" | "protect" | "drop" | "lock" | "unlock" | "fork" | "exit" | "store" | "load";
  readonly page: number;
  readonly count: number;
  readonly value: number;
  /** What `protect` allows. */
  readonly access: { readonly read: boolean; readonly write: boolean };
}

/** The errno or si_code that `call` ends with, or what it returns. */
export function outcome<T>(call: () => T): T | string {
  try {
    return call();
  } catch (error) {
    if (error instanceof SystemError || error instanceof SegmentationFault) return error.code;
    throw error;
  }
}

/** The processes of a world, at most so many. */
export class Pairs {
  readonly all: Pair[];
  private readonly most: number;

  constructor(first: Process, most: number) {
    this.all = [{ process: first, plain: new PlainProcess(), alive: true }];
    this.most = most;
  }

  /** One of them by any number, or null where that one has ended. */
  living(who: number): Pair | null {
    const pair = this.all[who % this.all.length];
    return pair.alive ? pair : null;
  }

  fork({ process, plain }: Pair): void {
    if (this.all.length < this.most) this.all.push({ process: process.fork(), plain: plain.fork(), alive: true });
  }

  /** The last one stays. */
  private exit(pair: Pair): void {
    if (this.all.filter(({ alive }) => alive).length === 1) return;
    pair.process.exit(0);
    pair.alive = false;
  }

  run(pair: Pair, { op, page, count, value, access }: SharedStep): void {
    const { process, plain } = pair;
    const address = page * PAGE_SIZE;
    const length = count * PAGE_SIZE;
    switch (op) {
      case "unmap":
        process.munmap(address, length);
        plain.unmap(page, count);
        break;
      case "protect": {
        const bits = (access.read ? PROT_READ : 0) | (access.write ? PROT_WRITE : 0);
        const got = outcome(() => process.mprotect(address, length, bits));
        expect(got).toBe(plain.isWholeRange(page, count) ? 0 : "ENOMEM");
        plain.protect(page, count, access);
        break;
      }
      case "drop": {
        const got = outcome(() => process.madvise(address, length, MADV_DONTNEED));
        expect(typeof got === "string" ? got : undefined).toBe(plain.dontNeed(page, count));
        break;
      }
      case "lock":
      case "unlock": {
        const locked = op === "lock";
        outcome(() => (locked ? process.mlock(address, length) : process.munlock(address, length)));
        plain.lock(page, count, locked);
        break;
      }
      case "fork":
        this.fork(pair);
        break;
      case "exit":
        this.exit(pair);
        break;
      case "store": {
        const at = address + value * 16;
        expect(outcome(() => process.memory.setUint8(at, value))).toBe(plain.store(at, value));
        break;
      }
      case "load": {
        const at = address + value * 16;
        expect(outcome(() => process.memory.getUint8(at))).toBe(plain.load(at));
        break;
      }
    }
  }

  /** @throws where a living process sees other bytes in these pages than its model */
  compare(pages: readonly number[]): void {
    for (const { process, plain, alive } of this.all) {
      if (!alive) continue;
      for (const page of pages) {
        const want = plain.content(page);
        const got = outcome(() => process.memory.read(page * PAGE_SIZE, PAGE_SIZE));
        if (typeof want === "string" || typeof got === "string") expect(got, `page ${page}`).toBe(want);
        else expect(Buffer.compare(got, want), `page ${page}`).toBe(0);
      }
    }
  }

  /** Ends those that live. */
  end(): void {
    for (const { process, alive } of this.all) if (alive) process.exit(0);
  }
}
