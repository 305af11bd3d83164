// Goes over the instructions of one function body with the types of the operand stack: before each instruction, its operands.
//
// How a pass uses it (src: ../rewriting/):
//   walker.begin(body);                       // which function; walker.localTypes are its parameters and locals
//   while (walker.next()) {                   // now walker.opcode, .first, .second, and the stack BEFORE the instruction
//     if (walker.isDead) copy it;             // never runs; operands may be UNKNOWN
//     else look at walker.operand(0) … and write what is to happen before, instead of and after it
//   }
// What an instruction leaves on the stack is there at the following next(). Nothing is allocated for an instruction.

import { BodyReader } from "./body-reader.ts";
import {
  DEPENDS,
  FUNCREF,
  I32,
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_BR_TABLE,
  OP_CALL,
  OP_CALL_INDIRECT,
  OP_DROP,
  OP_ELSE,
  OP_END,
  OP_GLOBAL_GET,
  OP_GLOBAL_SET,
  OP_IF,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
  OP_LOOP,
  OP_REF_FUNC,
  OP_REF_NULL,
  OP_RETURN,
  OP_RETURN_CALL,
  OP_RETURN_CALL_INDIRECT,
  OP_SELECT,
  OP_SELECT_TYPED,
  OP_TABLE_GET,
  OP_UNREACHABLE,
  POPS,
  PUSHES,
  UNKNOWN,
} from "./instructions.ts";
import { type FunctionType, typeOfFunction } from "./module.ts";
import { ModuleError } from "./module-error.ts";

const NO_TYPES = new Uint8Array(0);
/** One-element lists of types, by type. */
const SINGLES = Array.from({ length: 128 }, (_, type) => Uint8Array.of(type));
/** Block type of the function itself: not one that a block can have. */
const FUNCTION_BODY = -1000;
/** What is known of a block: it begins in code that never runs; below its begin there are operands of any type. */
const ENTERED_DEAD = 1;
const AROUND_POLYMORPHIC = 2;

export class BodyWalker extends BodyReader {
  /** The operand stack: types from the bottom up. */
  private types = new Uint8Array(256);
  height = 0;
  /** Open blocks, the function's own the first; `depth` of them. */
  depth = 0;
  private blockOpcodes = new Uint8Array(64);
  private blockTypes = new Int32Array(64);
  private blockHeights = new Int32Array(64);
  private blockFlags = new Uint8Array(64);
  /** The rest of the current block never runs. */
  isDead = false;
  /** Whether below the current block's begin there are as many operands of any type as one asks for. */
  private isPolymorphic = false;
  private hasInstruction = false;

  override begin(body: number): void {
    super.begin(body);
    this.height = 0;
    this.depth = 0;
    this.isDead = false;
    this.isPolymorphic = false;
    this.hasInstruction = false;
    this.pushBlock(OP_BLOCK, FUNCTION_BODY);
  }

  /** Goes to the next instruction. @returns false behind the function's end. @throws ModuleError */
  next(): boolean {
    if (this.hasInstruction) this.apply();
    if (this.depth === 0) {
      if (!this.isAtEnd) this.reader.malformed("code behind the end of a function");
      return false;
    }
    this.decode();
    this.hasInstruction = true;
    return true;
  }

  /** Type of the operand that lies `below` others under the top; UNKNOWN in code that never runs. */
  operand(below: number): number {
    const at = this.height - 1 - below;
    if (at < this.floor) {
      if (!this.isPolymorphic) this.underflow();
      return UNKNOWN;
    }
    return this.types[at];
  }

  /** Type of the stack's slot number `slot`, counted from the bottom. */
  slotType(slot: number): number {
    return this.types[slot];
  }

  /** Stack height at which the current block begins. */
  get floor(): number {
    return this.blockHeights[this.depth - 1];
  }

  /** Types that the current block took from the stack, and leaves there at its end. */
  get blockParams(): Uint8Array {
    return this.paramsOf(this.blockTypes[this.depth - 1]);
  }

  get blockResults(): Uint8Array {
    return this.resultsOf(this.blockTypes[this.depth - 1]);
  }

  /** Type of the function that a call, direct or by table, calls. */
  get callee(): FunctionType {
    const isDirect = this.opcode === OP_CALL || this.opcode === OP_RETURN_CALL;
    return isDirect ? this.calleeType(this.first) : this.blockFunctionType(this.first);
  }

  /** Opcode, stack height and types of the block that label `label` (0: the innermost) leaves or repeats. */
  labelOpcode(label: number): number {
    return this.blockOpcodes[this.blockOf(label)];
  }

  labelHeight(label: number): number {
    return this.blockHeights[this.blockOf(label)];
  }

  /** Types of what a branch to `label` takes along. */
  labelTypes(label: number): Uint8Array {
    const block = this.blockOf(label);
    return this.blockOpcodes[block] === OP_LOOP
      ? this.paramsOf(this.blockTypes[block])
      : this.resultsOf(this.blockTypes[block]);
  }

  private blockOf(label: number): number {
    if (label >= this.depth) throw new ModuleError("malformed", `there is no label ${label}`, this.start);
    return this.depth - 1 - label;
  }

  /** Types that a block of type `type` (an instruction's `first`) takes from the stack. */
  paramsOf(type: number): Uint8Array {
    if (type < 0) return NO_TYPES;
    return this.blockFunctionType(type).params;
  }

  resultsOf(type: number): Uint8Array {
    if (type === FUNCTION_BODY) return this.type.results;
    if (type === -64) return NO_TYPES;
    if (type < 0) return SINGLES[type & 0x7f];
    return this.blockFunctionType(type).results;
  }

  private blockFunctionType(type: number): FunctionType {
    if (type >= this.module.types.length) throw new ModuleError("malformed", `there is no type ${type}`, this.start);
    return this.module.types[type];
  }

  private underflow(): never {
    throw new ModuleError("malformed", "an instruction has too few operands", this.start);
  }

  private push(type: number): void {
    if (this.height === this.types.length) {
      const longer = new Uint8Array(this.height * 2);
      longer.set(this.types);
      this.types = longer;
    }
    this.types[this.height++] = type;
  }

  private pop(): number {
    if (this.height === this.floor) {
      if (!this.isPolymorphic) this.underflow();
      return UNKNOWN;
    }
    return this.types[--this.height];
  }

  private popMany(count: number): void {
    for (; count > 0; count--) this.pop();
  }

  private pushAll(types: Uint8Array): void {
    for (const type of types) this.push(type);
  }

  private pushBlock(opcode: number, type: number): void {
    if (this.depth === this.blockTypes.length) this.growBlocks();
    this.blockOpcodes[this.depth] = opcode;
    this.blockTypes[this.depth] = type;
    this.blockHeights[this.depth] = this.height;
    this.blockFlags[this.depth] = (this.isDead ? ENTERED_DEAD : 0) | (this.isPolymorphic ? AROUND_POLYMORPHIC : 0);
    this.depth++;
    this.isPolymorphic = false;
  }

  private growBlocks(): void {
    const longer = <Row extends Uint8Array | Int32Array>(row: Row, empty: Row): Row => {
      empty.set(row);
      return empty;
    };
    const size = this.depth * 2;
    this.blockOpcodes = longer(this.blockOpcodes, new Uint8Array(size));
    this.blockTypes = longer(this.blockTypes, new Int32Array(size));
    this.blockHeights = longer(this.blockHeights, new Int32Array(size));
    this.blockFlags = longer(this.blockFlags, new Uint8Array(size));
  }

  private die(): void {
    this.height = this.floor;
    this.isDead = true;
    this.isPolymorphic = true;
  }

  /** What the instruction leaves behind. */
  private apply(): void {
    const { opcode } = this;
    const pops = POPS[opcode];
    if (pops === DEPENDS) {
      this.applyDependent(opcode);
      return;
    }
    this.popMany(pops);
    const pushed = PUSHES[opcode];
    if (pushed !== 0) this.push(pushed);
  }

  private applyDependent(opcode: number): void {
    switch (opcode) {
      case OP_LOCAL_GET:
        this.push(this.localType(this.first));
        break;
      case OP_LOCAL_SET:
      case OP_DROP:
      case OP_GLOBAL_SET:
        this.pop();
        break;
      case OP_LOCAL_TEE:
        this.pop();
        this.push(this.localType(this.first));
        break;
      case OP_GLOBAL_GET:
        this.push(this.globalType(this.first));
        break;
      case OP_SELECT:
      case OP_SELECT_TYPED:
        this.applySelect(opcode);
        break;
      case OP_CALL:
        this.applyCall(this.callee);
        break;
      case OP_CALL_INDIRECT:
        this.pop();
        this.applyCall(this.callee);
        break;
      case OP_TABLE_GET:
        this.pop();
        this.push(this.module.tables[this.first] ?? FUNCREF);
        break;
      case OP_REF_NULL:
        this.push(this.first);
        break;
      case OP_REF_FUNC:
        this.push(FUNCREF);
        break;
      default:
        this.applyControl(opcode);
    }
  }

  private applyControl(opcode: number): void {
    switch (opcode) {
      case OP_BLOCK:
      case OP_LOOP:
      case OP_IF: {
        if (opcode === OP_IF) this.pop();
        const params = this.paramsOf(this.first);
        this.popMany(params.length);
        this.pushBlock(opcode, this.first);
        this.pushAll(params);
        break;
      }
      case OP_ELSE:
        this.applyElse();
        break;
      case OP_END:
        this.applyEnd();
        break;
      case OP_BR_IF:
        this.pop();
        break;
      case OP_UNREACHABLE:
      case OP_BR:
      case OP_BR_TABLE:
      case OP_RETURN:
      case OP_RETURN_CALL:
      case OP_RETURN_CALL_INDIRECT:
        this.die();
        break;
      default:
        throw new ModuleError("malformed", `there is no instruction 0x${opcode.toString(16)}`, this.start);
    }
  }

  private applyElse(): void {
    const block = this.depth - 1;
    if (this.blockOpcodes[block] !== OP_IF) throw new ModuleError("malformed", "an else without if", this.start);
    this.blockOpcodes[block] = OP_ELSE;
    this.height = this.floor;
    this.isDead = (this.blockFlags[block] & ENTERED_DEAD) !== 0;
    this.isPolymorphic = false;
    this.pushAll(this.paramsOf(this.blockTypes[block]));
  }

  private applyEnd(): void {
    const block = this.depth - 1;
    const results = this.resultsOf(this.blockTypes[block]);
    if (this.height - this.floor !== results.length && !this.isPolymorphic)
      throw new ModuleError("malformed", "a block ends with another number of operands than its type says", this.start);
    this.height = this.floor;
    this.depth--;
    this.isDead = (this.blockFlags[block] & ENTERED_DEAD) !== 0;
    this.isPolymorphic = (this.blockFlags[block] & AROUND_POLYMORPHIC) !== 0;
    this.pushAll(results);
  }

  private applySelect(opcode: number): void {
    this.pop();
    const second = this.pop();
    const first = this.pop();
    if (opcode === OP_SELECT_TYPED) this.push(this.first);
    else this.push(first === UNKNOWN ? second : first);
  }

  private applyCall({ params, results }: FunctionType): void {
    this.popMany(params.length);
    this.pushAll(results);
  }

  private calleeType(index: number): FunctionType {
    if (index >= this.module.functionTypes.length)
      throw new ModuleError("malformed", `there is no function ${index}`, this.start);
    return typeOfFunction(this.module, index);
  }

  private localType(index: number): number {
    if (index >= this.localCount) throw new ModuleError("malformed", `there is no local ${index}`, this.start);
    return this.localTypes[index];
  }

  private globalType(index: number): number {
    return this.module.globals[index]?.type ?? I32;
  }
}
