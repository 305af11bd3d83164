// A machine: RAM, counters and what else silicon fixes before a kernel starts. Everything above is built on one of these.
// No policy here; making one costs little at any size, since the host commits nothing until it is written.

import { decode, type GivenFunctions } from "../state/decode.ts";
import { digest, encode } from "../state/encode.ts";
import { SnapshotError } from "../state/error.ts";
import { keepClass, kept } from "../state/kept.ts";
import { Counters } from "./counters.ts";
import { type OptionKinds, requireOptions } from "./given-options.ts";
import { type HostMemory, makeHostMemory, TABLE_BEGIN } from "./host-memory.ts";
import { PAGE_SIZE } from "./layout.ts";
import { hideFields, outline } from "./outline.ts";
import { PageTable } from "./page-table.ts";
import { LARGEST_MEMORY_BYTES, PhysicalMemory, SMALLEST_MEMORY_BYTES } from "./physical-memory.ts";

/** What a machine has. */
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

/** How a machine is written to a file. */
export interface SnapshotOptions {
  /** Whether what no file can keep is left out instead of thrown on. Default false. */
  readonly lossy?: boolean;
}

/** What stands on a machine, and can say whether its state is sound. */
export interface Resident {
  /** @throws Error naming the first broken rule */
  checkInvariants(): unknown;
}

const GIB = 2 ** 30;
const MACHINE_OPTIONS: OptionKinds = {
  memoryBytes: "any",
  mte: "boolean",
  gzvaBlockBytes: "any",
  shadow: "boolean",
  buffer: "object",
};

/** RAM, page tables, counters and the hardware of memory tagging. Kernels and processes stand on it. */
export class Machine {
  /** Bytes of RAM. */
  readonly memoryBytes: number;
  /** Frames of RAM, 4 KiB each. */
  readonly frameCount: number;
  /** Whether it has memory tagging. */
  readonly mte: boolean;
  /** Whether each byte has a bit that says whether it is defined. */
  readonly shadow: boolean;
  /** Bytes that DC GZVA clears and tags in one go. */
  readonly gzvaBlockBytes: number;
  /** The RAM. */
  readonly ram: PhysicalMemory;
  /** Where it lies in the host's memory; null: its parts have memory of their own, or the program's. */
  readonly hostMemory: HostMemory | null;
  /** What happened on it. */
  readonly counters = new Counters();
  /** What stands on the machine: kernels and heaps, as long as they live. */
  readonly residents = new Set<Resident>();
  /** Page tables of ended processes, all zeroes: making one anew costs more than keeping it. */
  private readonly sparePageTables: PageTable[] = [];
  private noPages: PageTable | null = null;

  /** @throws RangeError for a size, or block, that no machine has, or an unknown option; TypeError for a value of another type. */
  constructor(options: MachineOptions = {}) {
    requireOptions("Machine", options, MACHINE_OPTIONS);
    const { memoryBytes = GIB, mte = true, gzvaBlockBytes = 64, shadow = false, buffer } = options;
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
    if (buffer !== undefined && !(buffer instanceof ArrayBuffer))
      throw new TypeError("buffer: RAM lies in an ArrayBuffer");
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
    this.hostMemory = buffer === undefined && !shadow ? makeHostMemory(memoryBytes, mte) : null;
    this.ram = new PhysicalMemory({
      memoryBytes,
      mte,
      shadow,
      gzvaBlockBytes,
      ...(buffer === undefined ? {} : { firstBank: new Uint8Array(buffer, 0, memoryBytes) }),
      ...(this.hostMemory === null ? {} : { firstBank: this.hostMemory.ram, tags: this.hostMemory.tags }),
    });
    if (this.hostMemory !== null) {
      this.counters.countFillsIn(this.hostMemory.filled);
      this.counters.countBlocksIn(this.hostMemory.gzvaBlocks);
      this.sparePageTables.push(new PageTable(this.hostMemory.tableEntries));
    }
    hideFields(this);
  }

  /**
   * Everything: RAM, tags, validity, and what stands on the machine with all that it knows, kernels, processes, descriptors, heaps.
   * As a file of this version of the library, whose size is that of what was written, equal words counted once.
   * With `lossy` it leaves out what no file can keep instead of throwing, for looking at the state later: in what is restored, a
   * function that was left out throws when it is called. Default false.
   * Of a WebAssembly module on it the memory and the heap are part of it, the module's globals and tables are not.
   * @throws SnapshotError: the state holds functions or objects that are not the library's own (a signal handler, a recording's sink);
   * the message says where. Nothing has changed.
   */
  snapshot(options: SnapshotOptions = {}): Uint8Array {
    requireOptions("snapshot", options, { lossy: "boolean" });
    return encode([this], { lossy: options.lossy });
  }

  /**
   * The machine of a snapshot, as new objects beside all others. `Kernel.on` and `Heap.on` answer what stands on it.
   * @param given functions that the program had given when the snapshot was taken, by place: `"kernel.clock"`, `"heap.write"`,
   * `"heap.onReport"`, `"heap.hooks.allocate"` …, `"checker.onFinding"`. Without them the host's clock counts, and hooks are silent.
   * @throws SnapshotError: damaged, of another version, or no snapshot. TypeError: no bytes
   */
  static restore(bytes: Uint8Array, given: GivenFunctions = {}): Machine {
    if (!(bytes instanceof Uint8Array))
      throw new TypeError("restore: the bytes of a snapshot are needed, as a Uint8Array");
    checkGiven(given);
    // A heap's check loads from its memory, and so changes what is resident: one copy is checked, another one handed out.
    requireSound(machineIn(bytes, {}));
    return machineIn(bytes, given);
  }

  /**
   * A hash of the whole state but for what it says of the host (file names in stacks): equal states have equal hashes, on every machine
   * and in every thread. 16 hexadecimal digits. Times are part of it: give kernels a clock of your own.
   */
  digest(): string {
    return digest([this]);
  }

  /** The machine as it was made, once no kernel runs on it any more: of its RAM only the first `usedFrames` frames were in use. */
  reset(usedFrames: number): void {
    this.residents.clear();
    this.ram.clear(usedFrames);
    this.counters.reset();
  }

  /** A page table that is empty: a kept one, first of all the one in the machine's host memory, or a new one. */
  takePageTable(): PageTable {
    const { sparePageTables } = this;
    const first = sparePageTables.findIndex((table) => this.isInHostMemory(table));
    return (first < 0 ? sparePageTables.pop() : sparePageTables.splice(first, 1)[0]) ?? new PageTable();
  }

  /** Whether a page table is the one that {@link hostMemory} has room for. */
  isInHostMemory({ entries }: PageTable): boolean {
    const { hostMemory } = this;
    return hostMemory !== null && entries.buffer === hostMemory.buffer && entries.byteOffset === TABLE_BEGIN;
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
    if (this.sparePageTables.length < 8 || this.isInHostMemory(pageTable)) this.sparePageTables.push(pageTable);
  }
}

outline(Machine, ({ memoryBytes, mte, shadow }) => ({ memoryBytes, mte, shadow }));

keepClass("Machine", Machine);

function checkGiven(given: GivenFunctions): void {
  if (typeof given !== "object" || given === null) throw new TypeError("restore: functions are given as an object");
  for (const [name, each] of Object.entries(given)) {
    if (!kept.substitutes.has(name))
      throw new RangeError(`restore: "${name}" is not one of ${[...kept.substitutes.keys()].join(", ")}`);
    if (typeof each !== "function") throw new TypeError(`restore: ${name} is no function`);
  }
}

function machineIn(bytes: Uint8Array, given: GivenFunctions): Machine {
  const [machine] = decode(bytes, given);
  if (!(machine instanceof Machine)) throw new SnapshotError("the snapshot is not of a machine");
  return machine;
}

function requireSound({ residents, hostMemory, ram, frameCount }: Machine): void {
  try {
    hostMemory?.requireThere(ram.bankOf(0), ram.tags, frameCount);
    for (const resident of residents) resident.checkInvariants();
  } catch (error) {
    throw new SnapshotError(`the snapshot is damaged: ${error instanceof Error ? error.message : String(error)}`);
  }
}
