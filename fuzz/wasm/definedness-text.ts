// What the model's programs are made of, trees of instructions, and their text form.

import type { Operation, Type } from "./definedness-operations.ts";

export const GLOBALS: readonly Type[] = ["i32", "i64", "i32", "f64", "v128", "f32"];
/** What can pass between the host and the guest with all of its bits. */
export const INTEGERS: readonly Type[] = ["i32", "i64"];
/** Functions of one type that stand in the table, behind the fuel and the host's. */
export const TABLE_SIZE = 4;

/** An instruction with those that make its operands; `name` with its immediates is what the text has. */
export interface Node {
  readonly name: string;
  /** Type of the operands' width, of constants and of what is loaded. */
  readonly type: Type;
  readonly operands: readonly Node[];
  /** Constant, local, global, function, offset, label: by the instruction. */
  readonly number: number;
  readonly labels: readonly number[];
  readonly params: readonly Type[];
  readonly results: readonly Type[];
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
  /** Of a node named "operation". */
  readonly operation: Operation | null;
}

export interface Routine {
  readonly params: readonly Type[];
  readonly results: readonly Type[];
  readonly locals: readonly Type[];
  readonly body: readonly Node[];
}

const LIST = (keyword: string, types: readonly Type[]): string =>
  types.length === 0 ? "" : ` (${keyword} ${types.join(" ")})`;
const PLAIN = new Set(["drop", "select", "return", "memory.copy", "memory.fill"]);

function lines(nodes: readonly Node[]): string {
  return nodes.map(line).join("\n");
}

function line(node: Node): string {
  const { name, type, number, labels } = node;
  const operands = lines(node.operands);
  const typed = `${LIST("param", node.params)}${LIST("result", node.results)}`;
  if (name === "block" || name === "loop") return `${operands}\n${name}${typed}\n${lines(node.body)}\nend`;
  if (name === "if") return `${operands}\nif${typed}\n${lines(node.body)}\nelse\n${lines(node.otherwise)}\nend`;
  if (PLAIN.has(name)) return `${operands}\n${name}`;
  if (name === "fuel") return "call $fuel";
  if (name === "host") return `${operands}\ncall $host`;
  if (name === "call_indirect") return `${operands}\ncall_indirect (param i32 i64) (result i32)`;
  if (name === "call") return `${operands}\ncall $f${number}`;
  if (name.startsWith("br")) return `${operands}\n${name} ${labels.join(" ")}`;
  if (name.startsWith("local.") || name.startsWith("global.")) return `${operands}\n${name} ${number}`;
  if (name === "const") return constant(type, number);
  if (node.operation !== null) return `${operands}\n${node.operation.text}`;
  if (name.startsWith("load") || name.startsWith("store")) return `${operands}\n${type}.${name} offset=${number}`;
  return `${operands}\n${type}.${name}`;
}

const constantOfZero = (type: Type): string => `${type}.const ${type === "v128" ? "i32x4 0 0 0 0" : "0"}`;

/** The bits of a number; a vector has them at its ends. */
function constant(type: Type, number: number): string {
  if (type === "v128") return `v128.const i32x4 ${number} 0 0 ${number}`;
  if (INTEGERS.includes(type)) return `${type}.const ${number}`;
  return type === "f32" ? `i32.const ${number}\nf32.reinterpret_i32` : `i64.const ${number}\nf64.reinterpret_i64`;
}

export function textOf(routines: readonly Routine[]): string {
  const functions = routines.map(
    ({ params, results, locals, body }, i) =>
      `(func $f${i} (export "f${i}")${LIST("param", params)}${LIST("result", results)}${LIST("local", locals)}\n${lines(body)})`,
  );
  const inTable = routines.slice(-TABLE_SIZE).map((_, i) => `$f${routines.length - TABLE_SIZE + i}`);
  return `(module
    (import "host" "host" (func $host (param i32) (result i32)))
    (memory 1)
    ${GLOBALS.map((type) => `(global (mut ${type}) (${constantOfZero(type)}))`).join("\n")}
    (global $fuel (export "fuel") (mut i32) (i32.const 0))
    (table ${TABLE_SIZE} funcref)
    (elem (i32.const 0) ${inTable.join(" ")})
    (func $fuel (result i32)
      (if (result i32) (i32.eqz (global.get $fuel)) (then (i32.const 0))
        (else (global.set $fuel (i32.sub (global.get $fuel) (i32.const 1))) (i32.const 1))))
    ${functions.join("\n")})`;
}
