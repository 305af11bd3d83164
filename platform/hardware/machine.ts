// A machine: RAM, counters and what else silicon fixes before a kernel starts. Everything above is built on one of these.
// No policy here; making one costs little whatever its size, since the host commits nothing until it is written.

import { Counters } from "./counters.ts";
import { PAGE_SIZE } from "./layout.ts";
import { hideFields, outline } from "./outline.ts";
import { PageTable } from "./page-table.ts";
import { LARGEST_MEMORY_BYTES, PhysicalMemory, SMALLEST_MEMORY_BYTES } from "./physical-memory.ts";

export interface MachineOptions {
  /** RAM in bytes, a multiple of the page size from 16 MiB to 16 GiB. Default 1 GiB. */
  readonly memoryBytes?: number;
  /** Whether the CPU has the Memory Tagging Extension. Default true. */
  readonly mte?: boolean;
  /** Block of DC GVA, DC GZVA and DC ZVA in bytes (4 << DCZID_EL0.BS): a power of two from 16 to 2048. Default 64. */
  readonly gzvaBlockBytes?: number;
  /** Whether RAM keeps one validity bit a byte, for finding reads of uninitialised memory. Default false. */
  readonly shadow?: boolean;
  /**
   * Host memory that RAM lies in, from its begin: all zeroes, at least `memoryBytes` (at most 4 GiB) long, and never detached. Thus
   * other code of the host, a WebAssembly module, can work in the machine's RAM. Default: RAM has memory of its own.
   */
  readonly buffer?: ArrayBuffer;
}

const GIB = 2 ** 30;

export class Machine {
  readonly memoryBytes: number;
  readonly frameCount: number;
  readonly mte: boolean;
  readonly shadow: boolean;
  readonly gzvaBlockBytes: number;
  readonly ram: PhysicalMemory;
  readonly counters = new Counters();
  /** Page tables of ended processes, all zeroes: making one anew costs more than keeping it. */
  private readonly sparePageTables: PageTable[] = [];
  private noPages: PageTable | null = null;

  /** @throws RangeError for a size, or block, that no machine has. */
  constructor({ memoryBytes = GIB, mte = true, gzvaBlockBytes = 64, shadow = false, buffer }: MachineOptions = {}) {
    if (
      !Number.isSafeInteger(memoryBytes) ||
      memoryBytes % PAGE_SIZE !== 0 ||
      memoryBytes < SMALLEST_MEMORY_BYTES ||
      memoryBytes > LARGEST_MEMORY_BYTES
    ) {
      throw new RangeError(
        `memoryBytes: ${memoryBytes} is not a multiple of ${PAGE_SIZE} from ${SMALLEST_MEMORY_BYTES} to ${LARGEST_MEMORY_BYTES}`,
      );
    }
    if (![16, 32, 64, 128, 256, 512, 1024, 2048].includes(gzvaBlockBytes)) {
      throw new RangeError(`gzvaBlockBytes: ${gzvaBlockBytes} is not a power of two from 16 to 2048`);
    }
    if (buffer !== undefined && (memoryBytes > 4 * GIB || buffer.byteLength < memoryBytes)) {
      throw new RangeError(
        `buffer: ${buffer.byteLength} bytes cannot hold ${memoryBytes} bytes of RAM (at most 4 GiB)`,
      );
    }
    this.memoryBytes = memoryBytes;
    this.frameCount = memoryBytes / PAGE_SIZE;
    this.mte = mte;
    this.shadow = shadow;
    this.gzvaBlockBytes = gzvaBlockBytes;
    this.ram = new PhysicalMemory({ memoryBytes, mte, shadow, gzvaBlockBytes, buffer });
    hideFields(this);
  }

  /** The machine as it was made, once no kernel runs on it any more: of its RAM only the first `usedFrames` frames were in use. */
  reset(usedFrames: number): void {
    this.ram.clear(usedFrames);
    this.counters.reset();
  }

  takePageTable(): PageTable {
    return this.sparePageTables.pop() ?? new PageTable();
  }

  /** A page table that stays empty, for what outlives its address space. */
  get emptyPageTable(): PageTable {
    this.noPages ??= new PageTable();
    return this.noPages;
  }

  /** Gives a page table back that holds no entry any more; who still reads it reads an empty one from now on. */
  returnPageTable(pageTable: PageTable): void {
    if (!pageTable.isEmpty) throw new Error("a page table was returned with entries in it");
    pageTable.detachReaders(this.emptyPageTable);
    if (this.sparePageTables.length < 8) this.sparePageTables.push(pageTable);
  }
}

outline(Machine, ({ memoryBytes, mte, shadow }) => ({ memoryBytes, mte, shadow }));
