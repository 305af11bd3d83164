// Line programs run: the state machine of DWARF 5, 6.2.2 to 6.2.5, which says for ascending addresses of a sequence the file,
// line and column. Each opcode takes at least a byte and gives at most one row, so that the work ends with the bytes.

import type { ByteReader } from "../sections/byte-reader.ts";
import { EXTENDED_OPCODE, LINE_OPCODE } from "./constants.ts";
import type { LineHeader } from "./line-header.ts";

/** What takes the rows of a program. */
export interface LineSink {
  /** What follows is at `address`; a sequence that does not say so starts at 0. */
  setAddress(address: number): void;
  /** From `address` on, until the next row or the end of the sequence. */
  row(address: number, file: number, line: number, column: number): void;
  /** The sequence ends before `address`. */
  endSequence(address: number): void;
}

/** @throws MalformedDebugData the program is cut short; rows before that were given */
export function runLineProgram(header: LineHeader, reader: ByteReader, sink: LineSink): void {
  const { opcodeBase, lineBase, lineRange, minimumInstructionBytes } = header;
  const constAdvance = Math.trunc((255 - opcodeBase) / lineRange) * minimumInstructionBytes;
  let address = 0;
  let file = 1;
  let line = 1;
  let column = 0;
  while (reader.offset < reader.end) {
    const opcode = reader.u8();
    if (opcode >= opcodeBase) {
      const adjusted = opcode - opcodeBase;
      address += Math.trunc(adjusted / lineRange) * minimumInstructionBytes;
      line += lineBase + (adjusted % lineRange);
      sink.row(address, file, line, column);
      continue;
    }
    switch (opcode) {
      case LINE_OPCODE.extended: {
        const operands = reader.slice(reader.uleb());
        const extended = operands.u8();
        if (extended === EXTENDED_OPCODE.setAddress) {
          address = operands.unsigned(operands.end - operands.offset);
          sink.setAddress(address);
        } else if (extended === EXTENDED_OPCODE.endSequence) {
          sink.endSequence(address);
          address = 0;
          file = 1;
          line = 1;
          column = 0;
        }
        break;
      }
      case LINE_OPCODE.copy:
        sink.row(address, file, line, column);
        break;
      case LINE_OPCODE.advancePc:
        address += reader.uleb() * minimumInstructionBytes;
        break;
      case LINE_OPCODE.advanceLine:
        line += reader.sleb();
        break;
      case LINE_OPCODE.setFile:
        file = reader.uleb();
        break;
      case LINE_OPCODE.setColumn:
        column = reader.uleb();
        break;
      case LINE_OPCODE.constAddPc:
        address += constAdvance;
        break;
      case LINE_OPCODE.fixedAdvancePc:
        address += reader.u16();
        break;
      default:
        // Statement marks, prologue, instruction sets, and opcodes of later standards: passed over by their operand counts.
        for (let left = header.operandCounts[opcode - 1]; left > 0; left--) reader.skipLeb();
    }
  }
}
