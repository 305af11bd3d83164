// A function that returns if the engine's stack has room for what the host may do, and overflows it if not. It is called before each
// call of the host: a guest's endless recursion so ends between two operations of the heap or the kernel, never within one.
import {
  OP_END,
  OP_I32_EQ,
  OP_I32_EQZ,
  OP_I32_SUB,
  OP_I64_LOAD,
  OP_I64_LOAD8_S,
  OP_I64_LOAD32_U,
  OP_I64_STORE,
  OP_I64_XOR,
  OP_IF,
  OP_RETURN,
} from "../binary/instructions.ts";
import { Code } from "./code.ts";

/** Places that a load of one opcode reaches with an offset of one byte. */
const PLACES = 128;
/**
 * So often the function calls itself. Its frame is some 7 KiB, all together are 50: what the kernel and the heap need where their
 * functions are still to be compiled, which an engine does on the same stack.
 */
export const ROOM_LEVELS = 7;
const NO_PAGES = -1;

/**
 * (levels): the body of the function whose own index is `self`. On a path that is never taken, since no memory has so many pages, 896
 * values live across a call: an engine keeps their places in each frame all the same, and does so without writing to them.
 */
export function stackRoom(self: number, pagesGlobal: number): Uint8Array {
  const code = new Code(8192);
  const levels = 0;
  code.byte(0);
  code.localGet(levels);
  code.byte(OP_I32_EQZ);
  code.open(OP_IF);
  code.plain(OP_RETURN, OP_END);
  code.localGet(levels);
  code.constant(1);
  code.byte(OP_I32_SUB);
  code.call(self);
  code.globalGet(pagesGlobal);
  code.constant(NO_PAGES);
  code.byte(OP_I32_EQ);
  code.open(OP_IF);
  code.constant(0);
  let values = 0;
  for (const opcode of loads()) {
    for (let place = 0; place < PLACES; place++, values++) {
      code.constant(0);
      code.memory(opcode, place);
    }
  }
  code.constant(0);
  code.call(self);
  for (let value = 1; value < values; value++) code.byte(OP_I64_XOR);
  code.memory(OP_I64_STORE, 0);
  code.plain(OP_END, OP_END);
  return code.written.slice();
}

/** All loads of an i64: different ones, which no engine takes for the same value. */
function loads(): number[] {
  const narrow = OP_I64_LOAD32_U - OP_I64_LOAD8_S + 1;
  return [OP_I64_LOAD, ...Array.from({ length: narrow }, (_, i) => OP_I64_LOAD8_S + i)];
}
