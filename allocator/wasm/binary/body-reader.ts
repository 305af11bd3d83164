// Goes over the instructions of one function body: where each begins and ends, its opcode and immediates. Makes no objects.
// Types of operands are body-walker.ts, on top of this.

import { ByteReader } from "./byte-reader.ts";
import {
  BASE_FC,
  BASE_SIMD,
  IMMEDIATE_4_BYTES,
  IMMEDIATE_8_BYTES,
  IMMEDIATE_16_BYTES,
  IMMEDIATE_BLOCK,
  IMMEDIATE_INDEX,
  IMMEDIATE_LABELS,
  IMMEDIATE_LANE,
  IMMEDIATE_MEMORY,
  IMMEDIATE_MEMORY_LANE,
  IMMEDIATE_NONE,
  IMMEDIATE_S32,
  IMMEDIATE_S64,
  IMMEDIATE_TWO_INDICES,
  IMMEDIATE_TYPE,
  IMMEDIATES,
  OPCODE_COUNT,
  PREFIX_FC,
  PREFIX_SIMD,
  proposalOf,
} from "./instructions.ts";
import { type FunctionType, type Module, typeOfFunction } from "./module.ts";
import { ModuleError } from "./module-error.ts";
import { valueType } from "./read-module.ts";

/** Most locals that engines accept in a function (V8's kV8MaxWasmFunctionLocals). */
const MOST_LOCALS = 50000;
/** A memory argument's alignment above this has a meaning of a later proposal (bit 6: which memory). */
const LARGEST_ALIGNMENT = 31;

export class BodyReader {
  readonly module: Module;
  protected readonly reader: ByteReader;
  /** The function that is read, by its index among all, and its type. */
  functionIndex = -1;
  type: FunctionType = { params: new Uint8Array(0), results: new Uint8Array(0) };
  /** Types of parameters and declared locals. */
  localTypes = new Uint8Array(64);
  localCount = 0;
  /** The locals' declarations are `bytes[bodyStart, codeStart)`. */
  bodyStart = 0;
  codeStart = 0;
  /** How many groups of locals are declared, and where the first group begins. */
  localGroups = 0;
  localGroupsStart = 0;

  /** The current instruction: `bytes[start, end)`. */
  start = 0;
  end = 0;
  opcode = 0;
  /** Its first and second immediate number: index, alignment, constant; offset, second index. */
  first = 0;
  second = 0;

  constructor(module: Module) {
    this.module = module;
    this.reader = new ByteReader(module.bytes);
  }

  /** Goes to the begin of the `body`-th defined function. @throws ModuleError truncated, malformed */
  begin(body: number): void {
    const { module, reader } = this;
    this.functionIndex = module.importedFunctions + body;
    this.type = typeOfFunction(module, this.functionIndex);
    this.bodyStart = module.bodyStart[body];
    reader.position = this.bodyStart;
    reader.end = module.bodyEnd[body];
    this.localCount = 0;
    for (const type of this.type.params) this.addLocals(type, 1);
    this.localGroups = reader.count(2);
    this.localGroupsStart = reader.position;
    for (let group = 0; group < this.localGroups; group++) {
      const count = reader.u32();
      this.addLocals(valueType(reader), count);
    }
    this.codeStart = reader.position;
    this.end = reader.position;
  }

  private addLocals(type: number, count: number): void {
    const total = this.localCount + count;
    if (total > MOST_LOCALS) this.reader.malformed(`more than ${MOST_LOCALS} locals`);
    if (total > this.localTypes.length) {
      const longer = new Uint8Array(total * 2);
      longer.set(this.localTypes);
      this.localTypes = longer;
    }
    this.localTypes.fill(type, this.localCount, total);
    this.localCount = total;
  }

  get isAtEnd(): boolean {
    return this.reader.isAtEnd;
  }

  /** Reads the next instruction. @throws ModuleError truncated, malformed, unsupported */
  protected decode(): void {
    const { reader } = this;
    this.start = reader.position;
    let opcode = reader.byte();
    if (opcode === PREFIX_FC) opcode = BASE_FC + this.prefixed(BASE_SIMD - BASE_FC);
    else if (opcode === PREFIX_SIMD) opcode = BASE_SIMD + this.prefixed(OPCODE_COUNT - BASE_SIMD);
    this.opcode = opcode;
    const immediate = IMMEDIATES[opcode];
    if (immediate !== IMMEDIATE_NONE) this.readImmediates(immediate);
    this.end = reader.position;
  }

  private prefixed(limit: number): number {
    const number = this.reader.u32();
    if (number >= limit) this.refuse();
    return number;
  }

  private readImmediates(immediate: number): void {
    const { reader } = this;
    switch (immediate) {
      case IMMEDIATE_INDEX:
        this.first = reader.u32();
        break;
      case IMMEDIATE_MEMORY:
      case IMMEDIATE_MEMORY_LANE:
        this.first = reader.u32();
        if (this.first > LARGEST_ALIGNMENT) throw new ModuleError("unsupported", "several memories", this.start);
        this.second = reader.u32();
        if (immediate === IMMEDIATE_MEMORY_LANE) reader.byte();
        break;
      case IMMEDIATE_S32:
        this.first = reader.s32();
        break;
      case IMMEDIATE_S64:
        reader.skipLeb(10);
        break;
      case IMMEDIATE_BLOCK:
        this.first = reader.s33();
        break;
      case IMMEDIATE_TWO_INDICES:
        this.first = reader.u32();
        this.second = reader.u32();
        break;
      case IMMEDIATE_LABELS:
        this.readLabels();
        break;
      case IMMEDIATE_4_BYTES:
        reader.skip(4);
        break;
      case IMMEDIATE_8_BYTES:
        reader.skip(8);
        break;
      case IMMEDIATE_16_BYTES:
        reader.skip(16);
        break;
      case IMMEDIATE_LANE:
        this.first = reader.byte();
        break;
      default:
        this.readTypes(immediate);
    }
  }

  /** Passes over a br_table's labels; `first` is the number of them without the default, which is `second`. */
  private readLabels(): void {
    const count = this.reader.count(1);
    for (let i = 0; i < count; i++) this.reader.u32();
    this.first = count;
    this.second = this.reader.u32();
  }

  private readTypes(immediate: number): void {
    if (immediate === IMMEDIATE_TYPE) this.first = valueType(this.reader);
    else if (immediate === 255) this.refuse();
    else {
      if (this.reader.u32() !== 1) this.reader.malformed("a select with another number of types than 1");
      this.first = valueType(this.reader);
    }
  }

  private refuse(): never {
    const byte = this.module.bytes[this.start];
    const proposal = proposalOf(byte);
    if (proposal !== "") throw new ModuleError("unsupported", proposal, this.start);
    throw new ModuleError("malformed", `there is no instruction 0x${byte.toString(16)}`, this.start);
  }
}

/** The labels of the br_table at `start`, which was read before; the default's is the last. */
export function tableLabels(bytes: Uint8Array, start: number): number[] {
  let at = start + 1;
  const next = (): number => {
    let value = 0;
    for (let unit = 1; ; unit *= 128) {
      value += (bytes[at] & 0x7f) * unit;
      if (bytes[at++] < 0x80) return value;
    }
  };
  return Array.from({ length: next() + 1 }, next);
}
