// T8: heaptrack's data, as `heaptrack_interpret` writes it into its .zst files (`+ INFO`, `- INFO`), or raw (`+ SIZE TRACE PTR`,
// `- PTR`). All numbers are hexadecimal. Packing is unpack.ts's.
import { type EventBatch, FREE, MALLOC } from "../../../allocator/record/events.ts";
import { BlockEvents } from "./block-events.ts";
import type { LineParser } from "./lines.ts";
import type { CallSites } from "./sites.ts";
import type { TraceTally } from "./tally.ts";

/** Frames that allocate for others: the call site is the one that called them. */
const ALLOCATORS =
  /^(operator new|malloc|calloc|realloc|posix_memalign|aligned_alloc|memalign|valloc|__gnu_cxx::|std::)/;
const NEWEST_VERSION = 3;
const NO_SITE = -1;
const EXPECTED = 'one of heaptrack\'s lines, such as "a SIZE TRACE", "+ INFO", "- INFO"';

/** A size and a trace that allocations share; its live blocks, the newest last. */
interface AllocationInfo {
  readonly size: number;
  readonly site: number;
  readonly live: number[];
}

/**
 * Parses T8. An interpreted file names no addresses: a free takes the newest live block of the same size and place. Threads
 * and touches are unknown; a realloc is a free and an allocation.
 */
export class HeaptrackParser implements LineParser {
  readonly eventForm = '"+ INFO"';
  private readonly tally: TraceTally;
  private readonly sites: CallSites;
  private readonly blocks: BlockEvents;
  /** All of these count from 1 in the file; entry 0 is the file's nothing. */
  private readonly strings: string[] = [""];
  private readonly frames: string[] = [""];
  private readonly traceFrames: number[] = [0];
  private readonly traceParents: number[] = [0];
  private readonly traceSites: number[] = [NO_SITE];
  private readonly infos: AllocationInfo[] = [];
  private readonly freeIds: number[] = [];
  private nextId = 0;

  constructor(tally: TraceTally, sites: CallSites) {
    this.tally = tally;
    this.sites = sites;
    this.blocks = new BlockEvents(tally);
  }

  parseLine(bytes: Uint8Array, start: number, end: number, batch: EventBatch): string {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
      .toString("utf8")
      .trimEnd();
    const rest = text.slice(2);
    switch (text[0]) {
      case "+":
        return this.allocate(rest.split(" "), batch);
      case "-":
        return this.free(rest, batch);
      case "a":
        return this.addInfo(rest.split(" "));
      case "t":
        return this.addTrace(rest.split(" "));
      case "i":
        return this.addFrame(rest.split(" "));
      case "s":
        // The string's length stands in front of it since version 3.
        this.strings.push(this.version >= 3 ? rest.replace(/^[0-9a-f]+ /, "") : rest);
        return this.ignore();
      case "v":
        return this.readVersion(rest.split(" "));
      case undefined:
      case "#": // a comment
      case "c": // time
      case "R": // resident memory
      case "X": // command
      case "I": // system
      case "A": // attached
      case "S": // a suppression
      case "m": // modules
      case "x": // executable
        return this.ignore();
      default:
        return EXPECTED;
    }
  }

  private version = NEWEST_VERSION;

  private readVersion([, fileVersion]: string[]): string {
    const version = hex(fileVersion ?? "0");
    if (!(version <= NEWEST_VERSION)) return `heaptrack's file version 0 to ${NEWEST_VERSION}`;
    this.version = version;
    return this.ignore();
  }

  private allocate(fields: string[], batch: EventBatch): string {
    if (fields.length === 3) return this.allocateRaw(fields, batch);
    const info = this.infos[hex(fields[0])];
    if (fields.length !== 1 || info === undefined) return `"+ INFO" with INFO below ${this.infos.length.toString(16)}`;
    const id = this.freeIds.pop() ?? this.nextId++;
    info.live.push(id);
    batch.push(MALLOC, 0, id, info.size, 0);
    batch.site[batch.count - 1] = info.site;
    return "";
  }

  private free(field: string, batch: EventBatch): string {
    if (this.infos.length === 0) return this.freeRaw(field, batch);
    const info = this.infos[hex(field)];
    if (info === undefined) return `"- INFO" with INFO below ${this.infos.length.toString(16)}`;
    const id = info.live.pop();
    if (id === undefined) {
      this.tally.unknownBlocks++;
      return "";
    }
    this.freeIds.push(id);
    batch.push(FREE, 0, id, 0, 0);
    return "";
  }

  private allocateRaw([sizeText, traceText, pointer]: string[], batch: EventBatch): string {
    const [size, address] = [hex(sizeText), hex(pointer)];
    if (Number.isNaN(size + hex(traceText) + address)) return '"+ SIZE TRACE PTR"';
    this.blocks.allocate(batch, MALLOC, 0, address >>> 0, Math.floor(address / 2 ** 32), size, 0);
    return "";
  }

  private freeRaw(pointer: string, batch: EventBatch): string {
    const address = hex(pointer);
    if (Number.isNaN(address)) return '"- PTR"';
    this.blocks.release(batch, 0, address >>> 0, Math.floor(address / 2 ** 32));
    return "";
  }

  private addInfo([sizeText, traceText]: string[]): string {
    const [size, trace] = [hex(sizeText), hex(traceText ?? "")];
    if (Number.isNaN(size) || !(trace < this.traceFrames.length)) return '"a SIZE TRACE" of a trace from before';
    this.infos.push({ size, site: this.siteOf(trace), live: [] });
    return this.ignore();
  }

  private addTrace([frameText, parentText]: string[]): string {
    const [frame, parent] = [hex(frameText), hex(parentText ?? "")];
    // In raw files a frame is an address.
    if (Number.isNaN(frame) || !(parent < this.traceFrames.length)) return '"t FRAME PARENT" of a parent from before';
    this.traceFrames.push(frame);
    this.traceParents.push(parent);
    this.traceSites.push(NO_SITE);
    return this.ignore();
  }

  /** `i IP MODULE [FUNCTION FILE LINE …]`; behind the first three stand the functions that it was inlined into. */
  private addFrame([ip, moduleText, functionText, fileText, lineText]: string[]): string {
    if (Number.isNaN(hex(ip)) || Number.isNaN(hex(moduleText ?? ""))) return '"i IP MODULE FUNCTION FILE LINE"';
    const module = (this.strings[hex(moduleText)] ?? "").replace(/^.*\//, "");
    const name = this.strings[hex(functionText ?? "0")] ?? "";
    const file = this.strings[hex(fileText ?? "0")] ?? "";
    const place = file === "" ? module : `${file}:${hex(lineText ?? "0")}`;
    this.frames.push(name === "" ? `${module} 0x${ip}` : `${name} (${place})`);
    return this.ignore();
  }

  /** The innermost frame that is no allocation function. */
  private siteOf(trace: number): number {
    if (this.traceSites[trace] !== NO_SITE) return this.traceSites[trace];
    let at = trace;
    while (at !== 0 && ALLOCATORS.test(this.frames[this.traceFrames[at]] ?? "")) at = this.traceParents[at];
    const name = this.frames[this.traceFrames[at === 0 ? trace : at]] ?? "";
    this.traceSites[trace] = this.sites.of(name);
    return this.traceSites[trace];
  }

  private ignore(): string {
    this.tally.ignoredLines++;
    return "";
  }
}

/** NaN for what is no hexadecimal number. */
function hex(text: string): number {
  return /^[0-9a-f]{1,16}$/i.test(text) ? Number.parseInt(text, 16) : Number.NaN;
}
