// As much of WASI as a program needs that prints and ends: its calls on a guest's memory, by hand. node:wasi has a test of its own.
import type { EngineMemory, Imports } from "../../../platform/host/engine.ts";

const ENOSYS = 52;
const EBADF = 8;

/** What proc_exit throws, to end the guest. */
export class Exit extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** A command's world: what it printed, and the imports, which need its memory when it runs. */
export class TinyWasi {
  memory: EngineMemory | null = null;
  output = "";

  get imports(): Imports {
    const calls: Record<string, (...values: number[]) => number> = {
      fd_write: (_fd, vectors, count, written) => this.write(vectors, count, written),
      fd_prestat_get: () => EBADF,
      fd_fdstat_get: (_fd, target) => this.describe(target),
      fd_close: () => 0,
      environ_sizes_get: (count, size) => this.storeZeroes(count, size),
      environ_get: () => 0,
      proc_exit: (code) => {
        throw new Exit(code);
      },
    };
    const world = new Proxy(calls, { get: (known, name) => known[String(name)] ?? (() => ENOSYS) });
    return { wasi_snapshot_preview1: world as unknown as Record<string, unknown> };
  }

  private write(vectors: number, count: number, written: number): number {
    const { buffer } = this.memory!;
    const view = new DataView(buffer);
    let total = 0;
    for (let i = 0; i < count; i++) {
      const length = view.getUint32(vectors + i * 8 + 4, true);
      this.output += new TextDecoder().decode(new Uint8Array(buffer, view.getUint32(vectors + i * 8, true), length));
      total += length;
    }
    view.setUint32(written, total, true);
    return 0;
  }

  private storeZeroes(...targets: number[]): number {
    for (const target of targets) new DataView(this.memory!.buffer).setUint32(target, 0, true);
    return 0;
  }

  /** A character device that may be written. */
  private describe(target: number): number {
    const view = new DataView(this.memory!.buffer);
    view.setBigUint64(target, 2n, true);
    view.setBigUint64(target + 8, 0xffffffffn, true);
    view.setBigUint64(target + 16, 0n, true);
    return 0;
  }
}
