// The chunks of a heap as their headers describe them: size, room, state, and the report of a header that is not as it must be.
// Reads only. What makes and ends chunks is combined.ts; the header's bits are chunk-header.ts.

import { SegmentationFault } from "../../platform/hardware/faults.ts";
import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import type { Program } from "../common/program.ts";
import {
  type ChunkAction,
  type ReportContext,
  reportHeaderCorruption,
  reportInvalidChunkState,
} from "../common/report.ts";
import type { ResolvedHeapOptions } from "../options/options.ts";
import type { Primary } from "../primary/primary.ts";
import type { Secondary } from "../secondary/secondary.ts";
import {
  ChunkHeaders,
  CORRUPTED_HEADER,
  classIdOf,
  HEADER_SIZE,
  STATE_ALLOCATED,
  STATE_QUARANTINED,
  sizeOrUnusedOf,
  stateOf,
} from "./chunk-header.ts";
import { type AllocatorParts, checkHeaderFits, createPrimary } from "./combined-parts.ts";
import { FamilyHooks } from "./family-hooks.ts";

const MIN_ALIGNMENT = 16;

/** Pointers here have no tag, but for {@link usableSize} and {@link isOwned}, which take the user's. */
export abstract class Chunks<P extends Program, S extends Secondary<P>> extends FamilyHooks {
  readonly program: P;
  readonly options: ResolvedHeapOptions;
  readonly reports: ReportContext;
  readonly headers: ChunkHeaders;
  readonly primary: Primary;
  readonly secondary: S;

  constructor(given: AllocatorParts<P, S>, inherited?: Chunks<P, S>) {
    super();
    const { options, reports, program, secondary } = given;
    this.program = program;
    this.options = options;
    this.reports = reports;
    checkHeaderFits(options.config.primary.sizeClassMap, reports);
    const classCount = options.config.primary.sizeClassMap.largestClass + 1;
    this.headers = new ChunkHeaders({ cookie: given.cookie, form: options.checksum, classCount });
    this.primary = createPrimary(given, inherited?.primary.regions.copy());
    this.secondary = secondary;
  }

  /** The running thread's loads and stores. */
  get memory(): Memory {
    return this.program.memory;
  }

  /** Bytes that the user may use: exactly those asked for (S18.1), or all the room if `exactUsableSize` is off. */
  usableSize(pointer: Address): ByteCount {
    const low = this.loadHeader(pointer, "sizing");
    if (stateOf(low) !== STATE_ALLOCATED) this.reportState("sizing", pointer, low);
    // Of a large chunk the size is where its block ends, which only the block's own header says.
    if (classIdOf(low) === 0) this.secondary.checkBounds(pointer - HEADER_SIZE);
    return this.promisedSize(pointer, low, this.headers.offset);
  }

  /** The bytes of a chunk that its user may use, and which realloc therefore keeps. */
  promisedSize(pointer: Address, low: number, offset: number): ByteCount {
    return this.promisesBlock ? this.blockEnd(pointer, low, offset) - pointer : this.sizeOf(pointer, low);
  }

  /** Whether all the room of a block is its user's (S18.1). A family that checks accesses promises what was asked for, no more. */
  protected get promisesBlock(): boolean {
    return !this.options.exactUsableSize;
  }

  /** As `headers.load`; memory that is out of reach because the chunk was freed and its mapping is cached is a state, too. */
  loadHeader(pointer: Address, action: ChunkAction): number {
    try {
      return this.headers.load(this.program.memory, pointer);
    } catch (error) {
      if (!(error instanceof SegmentationFault) || !this.secondary.isCached(pointer - HEADER_SIZE)) throw error;
    }
    reportInvalidChunkState(action, pointer, this.reports, { isFreed: true });
  }

  /** Whether `pointer` is an allocated chunk of this heap (S18.2). Never reports; memory that cannot be read is not owned. */
  isOwned(pointer: Address): boolean {
    return this.isAllocated(pointer);
  }

  /** Whether there is an allocated chunk at a pointer without tag. Never reports. */
  isAllocated(pointer: Address): boolean {
    return this.isInState(pointer, STATE_ALLOCATED);
  }

  isQuarantined(pointer: Address): boolean {
    return this.isInState(pointer, STATE_QUARANTINED);
  }

  private isInState(pointer: Address, state: number): boolean {
    if (pointer === 0 || pointer % MIN_ALIGNMENT !== 0) return false;
    try {
      return stateOf(this.headers.load(this.program.memory, pointer)) === state;
    } catch (error) {
      if (error instanceof SegmentationFault) return false;
      throw error;
    }
  }

  /** The requested size of a chunk, from its header. */
  sizeOf(pointer: Address, low: number): ByteCount {
    if (classIdOf(low) !== 0) return sizeOrUnusedOf(low);
    return this.secondary.blockEnd(pointer - HEADER_SIZE) - pointer - sizeOrUnusedOf(low);
  }

  /** End of the block of a chunk, from its header. */
  blockEnd(pointer: Address, low: number, offset: number): Address {
    const classId = classIdOf(low);
    if (classId === 0) return this.secondary.blockEnd(pointer - HEADER_SIZE);
    return pointer - HEADER_SIZE - offset * 16 + this.primary.blockSizes[classId];
  }

  /** A header that was loaded is in the wrong state, or corrupted. */
  reportState(action: ChunkAction, pointer: Address, low: number): never {
    // A freed large chunk's header may be gone with its pages while its mapping waits in the cache.
    const isFreed = low !== CORRUPTED_HEADER || this.secondary.isCached(pointer - HEADER_SIZE);
    if (isFreed) reportInvalidChunkState(action, pointer, this.reports, { isFreed });
    const { memory } = this.program;
    const headerIsZero =
      memory.getInt32(pointer - HEADER_SIZE) === 0 && memory.getInt32(pointer - HEADER_SIZE + 4) === 0;
    reportHeaderCorruption(pointer, { headerIsZero }, this.reports);
  }
}
