// The instruction set as tables: what immediates an opcode has, what it takes from the operand stack and leaves there, and
// how many bytes of memory it touches. One byte opcodes are their own index, prefix 0xfc counts from 0x100, 0xfd (SIMD) from 0x200.

/** Value types, as the binary format encodes them. */
export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const FUNCREF = 0x70;
export const EXTERNREF = 0x6f;
/** An operand of unreachable code: fits every type. */
export const UNKNOWN = 0;
export const EMPTY_BLOCK = 0x40;

/** Opcodes that passes name. */
export const OP_UNREACHABLE = 0x00;
export const OP_NOP = 0x01;
export const OP_BLOCK = 0x02;
export const OP_LOOP = 0x03;
export const OP_IF = 0x04;
export const OP_ELSE = 0x05;
export const OP_END = 0x0b;
export const OP_BR = 0x0c;
export const OP_BR_IF = 0x0d;
export const OP_BR_TABLE = 0x0e;
export const OP_RETURN = 0x0f;
export const OP_CALL = 0x10;
export const OP_CALL_INDIRECT = 0x11;
export const OP_RETURN_CALL = 0x12;
export const OP_RETURN_CALL_INDIRECT = 0x13;
export const OP_DROP = 0x1a;
export const OP_SELECT = 0x1b;
export const OP_SELECT_TYPED = 0x1c;
export const OP_LOCAL_GET = 0x20;
export const OP_LOCAL_SET = 0x21;
export const OP_LOCAL_TEE = 0x22;
export const OP_GLOBAL_GET = 0x23;
export const OP_GLOBAL_SET = 0x24;
export const OP_TABLE_GET = 0x25;
export const OP_TABLE_SET = 0x26;
export const OP_I32_LOAD = 0x28;
export const OP_I64_LOAD = 0x29;
export const OP_F64_LOAD = 0x2b;
export const OP_I32_LOAD8_S = 0x2c;
export const OP_I32_LOAD8_U = 0x2d;
export const OP_I32_LOAD16_S = 0x2e;
export const OP_I32_LOAD16_U = 0x2f;
export const OP_I64_LOAD8_S = 0x30;
export const OP_I64_LOAD32_U = 0x35;
export const OP_I32_STORE = 0x36;
export const OP_I64_STORE = 0x37;
export const OP_F64_STORE = 0x39;
export const OP_I32_STORE8 = 0x3a;
export const OP_I32_STORE16 = 0x3b;
export const OP_I64_STORE16 = 0x3d;
export const OP_I64_STORE32 = 0x3e;
export const OP_MEMORY_SIZE = 0x3f;
export const OP_MEMORY_GROW = 0x40;
export const OP_I32_CONST = 0x41;
export const OP_I64_CONST = 0x42;
export const OP_I32_EQZ = 0x45;
export const OP_I32_EQ = 0x46;
export const OP_I32_NE = 0x47;
export const OP_I32_LT_S = 0x48;
export const OP_I32_LT_U = 0x49;
export const OP_I32_GT_S = 0x4a;
export const OP_I32_GT_U = 0x4b;
export const OP_I32_LE_U = 0x4d;
export const OP_I32_GE_U = 0x4f;
export const OP_I64_EQZ = 0x50;
export const OP_I64_EQ = 0x51;
export const OP_I64_NE = 0x52;
export const OP_I64_GE_U = 0x5a;
export const OP_F64_NE = 0x62;
export const OP_I32_ADD = 0x6a;
export const OP_I32_SUB = 0x6b;
export const OP_I32_MUL = 0x6c;
export const OP_I32_AND = 0x71;
export const OP_I32_OR = 0x72;
export const OP_I32_XOR = 0x73;
export const OP_I32_SHL = 0x74;
export const OP_I32_SHR_U = 0x76;
export const OP_I64_ADD = 0x7c;
export const OP_I64_SUB = 0x7d;
export const OP_I64_AND = 0x83;
export const OP_I64_OR = 0x84;
export const OP_I64_XOR = 0x85;
export const OP_I64_SHL = 0x86;
export const OP_I64_SHR_U = 0x88;
export const OP_F64_ADD = 0xa0;
export const OP_F64_SUB = 0xa1;
export const OP_I32_WRAP_I64 = 0xa7;
export const OP_I64_EXTEND_I32_S = 0xac;
export const OP_I64_EXTEND_I32_U = 0xad;
export const OP_F64_CONVERT_I32_U = 0xb8;
export const OP_F64_CONVERT_I64_S = 0xb9;
export const OP_I64_REINTERPRET_F64 = 0xbd;
export const OP_REF_NULL = 0xd0;
export const OP_REF_IS_NULL = 0xd1;
export const OP_REF_FUNC = 0xd2;
export const PREFIX_FC = 0xfc;
export const PREFIX_SIMD = 0xfd;
export const BASE_FC = 0x100;
export const BASE_SIMD = 0x200;
export const OP_MEMORY_INIT = BASE_FC + 8;
export const OP_DATA_DROP = BASE_FC + 9;
export const OP_MEMORY_COPY = BASE_FC + 10;
export const OP_MEMORY_FILL = BASE_FC + 11;
export const OP_TABLE_INIT = BASE_FC + 12;
export const OP_ELEM_DROP = BASE_FC + 13;
export const OP_TABLE_COPY = BASE_FC + 14;
export const OP_TABLE_GROW = BASE_FC + 15;
export const OP_TABLE_SIZE = BASE_FC + 16;
export const OP_TABLE_FILL = BASE_FC + 17;
export const OPCODE_COUNT = BASE_SIMD + 0x114;

/** What follows an opcode. */
export const IMMEDIATE_NONE = 0;
export const IMMEDIATE_BLOCK = 1;
/** One unsigned number: a label, function, local, global, table, or segment. */
export const IMMEDIATE_INDEX = 2;
/** Two: type and table, segment and table, table and table, segment and memory, memory and memory. */
export const IMMEDIATE_TWO_INDICES = 3;
export const IMMEDIATE_LABELS = 4;
/** Alignment and offset. */
export const IMMEDIATE_MEMORY = 5;
/** Alignment, offset and lane. */
export const IMMEDIATE_MEMORY_LANE = 6;
export const IMMEDIATE_S32 = 7;
export const IMMEDIATE_S64 = 8;
export const IMMEDIATE_4_BYTES = 9;
export const IMMEDIATE_8_BYTES = 10;
export const IMMEDIATE_16_BYTES = 11;
export const IMMEDIATE_LANE = 12;
export const IMMEDIATE_TYPE = 13;
export const IMMEDIATE_TYPES = 14;
/** No such instruction. */
export const IMMEDIATE_INVALID = 255;

/** What its immediates are, by opcode. */
export const IMMEDIATES = new Uint8Array(OPCODE_COUNT).fill(IMMEDIATE_INVALID);
/**
 * What it does to the operand stack: pops as many operands of which types (at most 3, the first is the deepest), pushes which
 * (0: none). Where that depends on immediates, POPS is {@link DEPENDS}.
 */
export const POPS = new Uint8Array(OPCODE_COUNT);
export const OPERANDS = new Uint8Array(OPCODE_COUNT * 3);
export const PUSHES = new Uint8Array(OPCODE_COUNT);
export const DEPENDS = 255;
/** Bytes of memory that a load or store touches, else 0. Operand 0 is its address. */
export const ACCESS_BYTES = new Uint8Array(OPCODE_COUNT);
/** 1: it writes memory. */
export const IS_STORE = new Uint8Array(OPCODE_COUNT);

const TYPE_OF_LETTER: Readonly<Record<string, number>> = { i: I32, l: I64, f: F32, d: F64, v: V128, r: UNKNOWN };

/** `signature`: operands, `>`, result; `i` i32, `l` i64, `f` f32, `d` f64, `v` v128, `r` any reference; `?` depends. */
function define(first: number, last: number, signature: string, immediate = IMMEDIATE_NONE): void {
  for (let op = first; op <= last; op++) {
    IMMEDIATES[op] = immediate;
    if (signature === "?") {
      POPS[op] = DEPENDS;
      continue;
    }
    const [operands, result] = signature.split(">");
    POPS[op] = operands.length;
    for (let i = 0; i < operands.length; i++) OPERANDS[op * 3 + i] = TYPE_OF_LETTER[operands[i]];
    PUSHES[op] = result === "" ? 0 : TYPE_OF_LETTER[result];
  }
}

function defineAccess(first: number, signature: string, sizes: readonly number[], immediate = IMMEDIATE_MEMORY): void {
  for (const [i, size] of sizes.entries()) {
    define(first + i, first + i, signature, immediate);
    ACCESS_BYTES[first + i] = size;
    IS_STORE[first + i] = signature.endsWith(">") ? 1 : 0;
  }
}

function defineControl(): void {
  define(OP_UNREACHABLE, OP_UNREACHABLE, "?");
  define(OP_NOP, OP_NOP, ">");
  define(OP_BLOCK, OP_IF, "?", IMMEDIATE_BLOCK);
  define(OP_ELSE, OP_ELSE, "?");
  define(OP_END, OP_END, "?");
  define(OP_BR, OP_BR_IF, "?", IMMEDIATE_INDEX);
  define(OP_BR_TABLE, OP_BR_TABLE, "?", IMMEDIATE_LABELS);
  define(OP_RETURN, OP_RETURN, "?");
  define(OP_CALL, OP_CALL, "?", IMMEDIATE_INDEX);
  define(OP_CALL_INDIRECT, OP_CALL_INDIRECT, "?", IMMEDIATE_TWO_INDICES);
  define(OP_RETURN_CALL, OP_RETURN_CALL, "?", IMMEDIATE_INDEX);
  define(OP_RETURN_CALL_INDIRECT, OP_RETURN_CALL_INDIRECT, "?", IMMEDIATE_TWO_INDICES);
  define(OP_DROP, OP_SELECT, "?");
  define(OP_SELECT_TYPED, OP_SELECT_TYPED, "?", IMMEDIATE_TYPES);
  define(OP_LOCAL_GET, OP_GLOBAL_SET, "?", IMMEDIATE_INDEX);
  define(OP_TABLE_GET, OP_TABLE_GET, "?", IMMEDIATE_INDEX);
  define(OP_TABLE_SET, OP_TABLE_SET, "ir>", IMMEDIATE_INDEX);
  define(OP_REF_NULL, OP_REF_NULL, "?", IMMEDIATE_TYPE);
  define(OP_REF_IS_NULL, OP_REF_IS_NULL, "r>i");
  define(OP_REF_FUNC, OP_REF_FUNC, "?", IMMEDIATE_INDEX);
}

function defineMemory(): void {
  defineAccess(0x28, "i>i", [4]);
  defineAccess(0x29, "i>l", [8]);
  defineAccess(0x2a, "i>f", [4]);
  defineAccess(0x2b, "i>d", [8]);
  defineAccess(0x2c, "i>i", [1, 1, 2, 2]);
  defineAccess(0x30, "i>l", [1, 1, 2, 2, 4, 4]);
  defineAccess(0x36, "ii>", [4]);
  defineAccess(0x37, "il>", [8]);
  defineAccess(0x38, "if>", [4]);
  defineAccess(0x39, "id>", [8]);
  defineAccess(0x3a, "ii>", [1, 2]);
  defineAccess(0x3c, "il>", [1, 2, 4]);
  define(OP_MEMORY_SIZE, OP_MEMORY_SIZE, ">i", IMMEDIATE_INDEX);
  define(OP_MEMORY_GROW, OP_MEMORY_GROW, "i>i", IMMEDIATE_INDEX);
  define(OP_MEMORY_INIT, OP_MEMORY_INIT, "iii>", IMMEDIATE_TWO_INDICES);
  define(OP_DATA_DROP, OP_DATA_DROP, ">", IMMEDIATE_INDEX);
  define(OP_MEMORY_COPY, OP_MEMORY_COPY, "iii>", IMMEDIATE_TWO_INDICES);
  define(OP_MEMORY_FILL, OP_MEMORY_FILL, "iii>", IMMEDIATE_INDEX);
  define(OP_TABLE_INIT, OP_TABLE_INIT, "iii>", IMMEDIATE_TWO_INDICES);
  define(OP_ELEM_DROP, OP_ELEM_DROP, ">", IMMEDIATE_INDEX);
  define(OP_TABLE_COPY, OP_TABLE_COPY, "iii>", IMMEDIATE_TWO_INDICES);
  define(OP_TABLE_GROW, OP_TABLE_GROW, "ri>i", IMMEDIATE_INDEX);
  define(OP_TABLE_SIZE, OP_TABLE_SIZE, ">i", IMMEDIATE_INDEX);
  define(OP_TABLE_FILL, OP_TABLE_FILL, "iri>", IMMEDIATE_INDEX);
}

/** Rows of the numeric instructions: first opcode, last, signature. */
const NUMERIC: readonly (readonly [number, number, string])[] = [
  [0x45, 0x45, "i>i"],
  [0x46, 0x4f, "ii>i"],
  [0x50, 0x50, "l>i"],
  [0x51, 0x5a, "ll>i"],
  [0x5b, 0x60, "ff>i"],
  [0x61, 0x66, "dd>i"],
  [0x67, 0x69, "i>i"],
  [0x6a, 0x78, "ii>i"],
  [0x79, 0x7b, "l>l"],
  [0x7c, 0x8a, "ll>l"],
  [0x8b, 0x91, "f>f"],
  [0x92, 0x98, "ff>f"],
  [0x99, 0x9f, "d>d"],
  [0xa0, 0xa6, "dd>d"],
  [0xa7, 0xa7, "l>i"],
  [0xa8, 0xa9, "f>i"],
  [0xaa, 0xab, "d>i"],
  [0xac, 0xad, "i>l"],
  [0xae, 0xaf, "f>l"],
  [0xb0, 0xb1, "d>l"],
  [0xb2, 0xb3, "i>f"],
  [0xb4, 0xb5, "l>f"],
  [0xb6, 0xb6, "d>f"],
  [0xb7, 0xb8, "i>d"],
  [0xb9, 0xba, "l>d"],
  [0xbb, 0xbb, "f>d"],
  [0xbc, 0xbc, "f>i"],
  [0xbd, 0xbd, "d>l"],
  [0xbe, 0xbe, "i>f"],
  [0xbf, 0xbf, "l>d"],
  [0xc0, 0xc1, "i>i"],
  [0xc2, 0xc4, "l>l"],
  [BASE_FC, BASE_FC + 1, "f>i"],
  [BASE_FC + 2, BASE_FC + 3, "d>i"],
  [BASE_FC + 4, BASE_FC + 5, "f>l"],
  [BASE_FC + 6, BASE_FC + 7, "d>l"],
];

function defineNumeric(): void {
  define(0x41, 0x41, ">i", IMMEDIATE_S32);
  define(0x42, 0x42, ">l", IMMEDIATE_S64);
  define(0x43, 0x43, ">f", IMMEDIATE_4_BYTES);
  define(0x44, 0x44, ">d", IMMEDIATE_8_BYTES);
  for (const [first, last, signature] of NUMERIC) define(first, last, signature);
}

/** SIMD's arithmetic from 0x4d on, a letter each: u unary, b binary, t ternary, s shift, a to a truth value, - not here. */
const SIMD_KINDS = [
  "ubb",
  "bbta----------uu",
  "uuuaabbuuuusssbb",
  "bbbbuubbbbubuuuu",
  "uubaabbuuuusssbb",
  "bbbbubbbbb-bbbbb",
  "uu-aa--uuuusssb-",
  "-b---bbbbbb-bbbb",
  "uu-aa--uuuusssb-",
  "-b---bbbbbbbbbbb",
  "uu-ubbbbbbbbuu-u",
  "bbbbbbbbuuuuuuuu",
  // Relaxed SIMD, from 0x100 on.
  "buuuuttttttttbbbbbbt",
].join("");

const SIMD_SIGNATURES: Readonly<Record<string, string>> = { u: "v>v", b: "vv>v", t: "vvv>v", s: "vi>v", a: "v>i" };

/** Lanes from 0x15 on: extract and replace of each shape, the first two with a signed extract more. */
const SIMD_LANES = [
  "v>i",
  "v>i",
  "vi>v",
  "v>i",
  "v>i",
  "vi>v",
  "v>i",
  "vi>v",
  "v>l",
  "vl>v",
  "v>f",
  "vf>v",
  "v>d",
  "vd>v",
];

function defineSimd(): void {
  const simd = (op: number) => BASE_SIMD + op;
  defineAccess(simd(0), "i>v", [16, 8, 8, 8, 8, 8, 8, 1, 2, 4, 8]);
  defineAccess(simd(11), "iv>", [16]);
  define(simd(12), simd(12), ">v", IMMEDIATE_16_BYTES);
  define(simd(13), simd(13), "vv>v", IMMEDIATE_16_BYTES);
  define(simd(14), simd(14), "vv>v");
  for (const [i, signature] of ["i>v", "i>v", "i>v", "l>v", "f>v", "d>v"].entries())
    define(simd(15 + i), simd(15 + i), signature);
  for (const [i, signature] of SIMD_LANES.entries()) define(simd(21 + i), simd(21 + i), signature, IMMEDIATE_LANE);
  define(simd(0x23), simd(0x4c), "vv>v");
  for (const [i, kind] of [...SIMD_KINDS].entries()) {
    if (kind !== "-") define(simd(0x4d + i), simd(0x4d + i), SIMD_SIGNATURES[kind]);
  }
  defineAccess(simd(0x54), "iv>v", [1, 2, 4, 8], IMMEDIATE_MEMORY_LANE);
  defineAccess(simd(0x58), "iv>", [1, 2, 4, 8], IMMEDIATE_MEMORY_LANE);
  defineAccess(simd(0x5c), "i>v", [4, 8]);
}

defineControl();
defineMemory();
defineNumeric();
defineSimd();

/** The proposal that a prefix or opcode outside the tables belongs to, for an error that says what to leave out. */
export function proposalOf(opcode: number): string {
  if (opcode >= 0x06 && opcode <= 0x0a) return "exception handling";
  if (opcode === 0x18 || opcode === 0x19 || opcode === 0x1f) return "exception handling";
  if (opcode === 0x14 || opcode === 0x15 || (opcode >= 0xd3 && opcode <= 0xd6)) return "typed function references";
  if (opcode === 0xfb) return "garbage collection";
  if (opcode === 0xfe) return "threads (atomic instructions)";
  return "";
}
