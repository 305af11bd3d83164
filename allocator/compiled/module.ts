// The module of the compiled malloc and free: one memory comes in, the functions of code.ts go out. Made once in each process.

import { ByteWriter } from "../wasm/binary/byte-writer.ts";
import { F64, I32 } from "../wasm/binary/instructions.ts";
import {
  EXTERNAL_FUNCTION,
  EXTERNAL_MEMORY,
  SECTION_CODE,
  SECTION_EXPORT,
  SECTION_FUNCTION,
  SECTION_IMPORT,
  SECTION_TYPE,
} from "../wasm/binary/module.ts";
import { allocateBody, freeBody, type Way } from "./code.ts";
import { allocateTaggedBody, freeTaggedBody } from "./tagged-code.ts";

const MAGIC_AND_VERSION = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const FUNCTION_TYPE = 0x60;
/** A memory without a maximum, at least one page long. */
const ANY_MEMORY = Uint8Array.of(0, 1);

interface Function {
  readonly name: string;
  readonly params: Uint8Array;
  readonly result: number;
  readonly body: Uint8Array;
}

function section(out: ByteWriter, id: number, entries: readonly ((body: ByteWriter) => void)[]): void {
  const body = new ByteWriter();
  body.u32(entries.length);
  for (const write of entries) write(body);
  out.byte(id);
  out.sized(body);
}

/** For any size, and those that begin with the table of headers; each of the latter names one of the former. */
const WHOLE: Way = { isInTable: false, others: null };
const inTable = (others: number): Way => ({ isInTable: true, others });

function functions(): readonly Function[] {
  const allocates = { params: Uint8Array.of(I32, I32), result: F64 };
  const frees = { params: Uint8Array.of(I32, F64), result: I32 };
  return [
    { ...allocates, name: "allocateAny", body: allocateBody(WHOLE, "none") },
    { ...allocates, name: "allocateAnyFilled", body: allocateBody(WHOLE, "heap") },
    { ...allocates, name: "allocateAnyZeroed", body: allocateBody(WHOLE, "zero") },
    { ...frees, name: "freeAny", body: freeBody(WHOLE) },
    { ...allocates, name: "allocate", body: allocateBody(inTable(0), "none") },
    { ...allocates, name: "allocateFilled", body: allocateBody(inTable(1), "heap") },
    { ...allocates, name: "allocateZeroed", body: allocateBody(inTable(2), "zero") },
    { ...frees, name: "free", body: freeBody(inTable(3)) },
    { ...allocates, name: "allocateTagged", body: allocateTaggedBody() },
    { ...frees, name: "freeTagged", body: freeTaggedBody() },
  ];
}

export function moduleBytes(): Uint8Array {
  const given = functions();
  const out = new ByteWriter(4096);
  out.append(MAGIC_AND_VERSION, 0, MAGIC_AND_VERSION.length);
  section(
    out,
    SECTION_TYPE,
    given.map(({ params, result }) => (body) => {
      body.two(FUNCTION_TYPE, params.length);
      body.append(params, 0, params.length);
      body.two(1, result);
    }),
  );
  section(out, SECTION_IMPORT, [
    (body) => {
      body.name("host");
      body.name("memory");
      body.byte(EXTERNAL_MEMORY);
      body.append(ANY_MEMORY, 0, ANY_MEMORY.length);
    },
  ]);
  section(
    out,
    SECTION_FUNCTION,
    given.map((_, index) => (body) => body.u32(index)),
  );
  section(
    out,
    SECTION_EXPORT,
    given.map(({ name }, index) => (body) => {
      body.name(name);
      body.byte(EXTERNAL_FUNCTION);
      body.u32(index);
    }),
  );
  section(
    out,
    SECTION_CODE,
    given.map(({ body: code }) => (body) => {
      body.u32(code.length);
      body.append(code, 0, code.length);
    }),
  );
  return out.written.slice();
}
