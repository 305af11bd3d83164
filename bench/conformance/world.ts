// The world of a script: a fresh small kernel, the window of addresses, processes and file handles by number, and a
// buffer of the runner's own outside the window. What the steps do in it is in operations-*.ts.
import type { CounterSnapshot } from "../../platform/hardware/counters.ts";
import { BusError, SegmentationFault } from "../../platform/hardware/faults.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { SystemError } from "../../platform/kernel/abi/errors.ts";
import {
  MADV_POPULATE_WRITE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
} from "../../platform/kernel/abi/mman.ts";
import { RLIMIT_MEMLOCK, RLIMIT_NOFILE } from "../../platform/kernel/abi/rlimit.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import { O_NONBLOCK, type OpenFile } from "../../platform/kernel/mm/file.ts";
import type { Inode } from "../../platform/kernel/mm/inode.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { KeptAddresses } from "./kept.ts";
import { type Answer, LARGEST_WORD, ScriptError } from "./script.ts";

/** Offsets in scripts count from here; nothing is mapped in the window at the start. */
export const WINDOW_BASE = 0x10_0000_0000;
const WINDOW_BYTES = 1024 * PAGE_SIZE;
/** The runner's own buffer, shared by all processes, so that its pages cost no copy after a fork. */
const BUFFER_ADDRESS = 0x20_0000_0000;
const BUFFER_BYTES = 2 ** 20;
/** A number that no script gets from the kernel, below any limit on open files. */
const CLOSED_DESCRIPTOR = 1000;
const MEMLOCK_BYTES = 8 * 2 ** 20;
const NOFILE = 1024;

/** A process of the script. */
export interface Participant {
  readonly number: number;
  readonly process: Process;
  /** Descriptors by handle; a handle that is not here is closed in this process, or was never open. */
  readonly handles: Map<number, number>;
  alive: boolean;
  /** Minor faults that the runner's own buffer has cost; a step is not charged with them. */
  ownFaults: number;
}

export class World {
  readonly kernel: Kernel;
  /** Length of the window that observations show. */
  readonly windowBytes: number;
  readonly participants: Participant[] = [];
  private handleCount = 0;
  readonly kept = new KeptAddresses();
  /** `m0`, `r1`, by the inode, or by the open file if it has none of its own. */
  private readonly objectNames = new Map<Inode | OpenFile, string>();
  /** Page-table pages of process 0, and the machine's counts, when the script started. */
  readonly startingTables: number;
  readonly startingCounters: CounterSnapshot;

  constructor(kernel: Kernel, windowBytes = WINDOW_BYTES) {
    this.kernel = kernel;
    this.windowBytes = windowBytes;
    const process = kernel.createProcess({ name: "script" });
    process.setrlimit(RLIMIT_MEMLOCK, MEMLOCK_BYTES, Number.POSITIVE_INFINITY);
    process.setrlimit(RLIMIT_NOFILE, NOFILE);
    process.mmap(
      BUFFER_ADDRESS,
      BUFFER_BYTES,
      PROT_READ | PROT_WRITE,
      MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
    );
    // A real process has mappings of its C library's and its stack's there: what the kernel puts below them is not at 2 MiB by chance.
    process.mmap(0, PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE);
    this.populateBuffer(this.addParticipant(process, new Map()));
    this.startingTables = tableCount(process);
    this.startingCounters = kernel.counters.snapshot();
  }

  addParticipant(process: Process, handles: Map<number, number>): Participant {
    const participant = { number: this.participants.length, process, handles, alive: true, ownFaults: 0 };
    this.participants.push(participant);
    return participant;
  }

  /** @throws ScriptError for a number that no fork returned, or whose process has ended. */
  participant(number: unknown): Participant {
    const participant = this.participants[number as number];
    if (participant === undefined) throw new ScriptError(`there is no process ${JSON.stringify(number)}`);
    if (!participant.alive) throw new ScriptError(`process ${number} has ended`);
    return participant;
  }

  /** The address of `10`, `"0x10"` or `"$A+10"`. @throws ScriptError */
  address(value: unknown): number {
    if (typeof value === "number") return WINDOW_BASE + value;
    const text = String(value);
    if (/^0x[0-9a-f]+$/i.test(text)) return Math.min(Number(text), LARGEST_WORD);
    const address = this.kept.address(text);
    if (address === undefined) throw new ScriptError(`no address: ${JSON.stringify(value)}`);
    return address;
  }

  /** A new handle for a descriptor of this participant. */
  addHandle(participant: Participant, descriptor: number): number {
    const handle = this.handleCount++;
    participant.handles.set(handle, descriptor);
    return handle;
  }

  /** Gives what a descriptor maps its name in observations, however it is opened or duplicated later. */
  nameObject(process: Process, descriptor: number, name: string): void {
    const file = process.fds.get(descriptor, "mmap");
    this.objectNames.set(file.inode ?? file, name);
  }

  /** The name of what an area maps: `""` for none, `s` and the inode's number for a shared anonymous object. */
  objectName(file: OpenFile | null): string {
    if (file === null) return "";
    return this.objectNames.get(file.inode ?? file) ?? `s${file.inode?.number}`;
  }

  /** The handle that `"h2"` names, or undefined for what is no handle. */
  handle(value: unknown): number | undefined {
    const [, digits] = /^h(\d+)$/.exec(String(value)) ?? [];
    return digits === undefined ? undefined : Number(digits);
  }

  /** Runs `use` with the descriptor that `-1`, `"h2"`, `"bad"` or `"pipe"` stands for. @throws ScriptError */
  withDescriptor<T>(participant: Participant, value: unknown, use: (descriptor: number) => T): T {
    if (typeof value === "number") return use(value);
    if (value === "bad") return use(CLOSED_DESCRIPTOR);
    if (value === "pipe") return this.withPipe(participant, (readEnd) => use(readEnd));
    const handle = this.handle(value);
    if (handle === undefined) throw new ScriptError(`no descriptor: ${JSON.stringify(value)}`);
    return use(participant.handles.get(handle) ?? CLOSED_DESCRIPTOR);
  }

  /** Runs `use` with a fresh non-blocking pipe under any limit on open files, and closes it. */
  withPipe<T>({ process }: Participant, use: (readEnd: number, writeEnd: number) => T): T {
    const { soft } = process.getrlimit(RLIMIT_NOFILE);
    process.setrlimit(RLIMIT_NOFILE, NOFILE);
    const [readEnd, writeEnd] = process.pipe2(O_NONBLOCK);
    process.setrlimit(RLIMIT_NOFILE, soft);
    try {
      return use(readEnd, writeEnd);
    } finally {
      process.close(readEnd);
      process.close(writeEnd);
    }
  }

  /** The runner's buffer with `length` bytes usable without a fault; a value fills them. */
  buffer(participant: Participant, length: number, value?: number): number {
    if (length > BUFFER_BYTES) throw new ScriptError(`a transfer of ${length} bytes is longer than ${BUFFER_BYTES}`);
    const { process } = participant;
    const before = process.minorFaults;
    for (let at = 0; at < length; at += PAGE_SIZE) process.memory.setUint8(BUFFER_ADDRESS + at, 0);
    process.memory.fill(BUFFER_ADDRESS, value ?? 0, length);
    participant.ownFaults += process.minorFaults - before;
    return BUFFER_ADDRESS;
  }

  /** Populates the buffer's first page: what the recorder does in parent and child after a fork, which drains the kernel's batches. */
  populateBuffer(participant: Participant): void {
    const { process } = participant;
    const before = process.minorFaults;
    process.madvise(BUFFER_ADDRESS, PAGE_SIZE, MADV_POPULATE_WRITE);
    participant.ownFaults += process.minorFaults - before;
  }

  /** Ends every process, so that their memory and page tables can serve the next script. */
  dispose(): void {
    for (const participant of this.participants) {
      if (participant.alive) this.end(participant);
    }
  }

  end(participant: Participant): void {
    participant.process.exit(0);
    participant.alive = false;
  }
}

/** Page tables of the two highest levels: the recorded process had them before its script began, this one has them from the first page on. */
const TOP_TABLES = 2;

/** The page-table pages below the top that Linux would have for this process, from VmPTE. */
export function tableCount(process: Process): number {
  const [, kib] = /^VmPTE:\s+(\d+) kB$/m.exec(process.procfs("status")) ?? [];
  return Math.max(0, Number(kib ?? 0) / 4 - TOP_TABLES);
}

/** What a failed call or access answers. @throws what is neither an errno nor a signal */
export function answerOfError(error: unknown): Answer {
  if (error instanceof SystemError) return { err: error.code };
  if (error instanceof SegmentationFault || error instanceof BusError) {
    return { sig: error.signal, code: error.code, at: error.address - WINDOW_BASE };
  }
  throw error;
}
