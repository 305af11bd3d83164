// Programs for the fuzzer of straight runs, drawn from a seed: loads and stores at addresses as compilers compute them, and their text.
// What they do is straight-runs.ts.
import { randomOf } from "./definedness-programs.ts";

const LOCALS = ["p", "q", "r"] as const;
export type Local = (typeof LOCALS)[number];

/** An address: locals, one of them times a power of two, and constants, as compilers compute them. */
export interface Address {
  readonly base: Local;
  readonly index: boolean;
  readonly distance: number;
  readonly offset: number;
}

export type Statement =
  | { readonly kind: "load" | "store"; readonly address: Address; readonly size: number; readonly alignment: number }
  | { readonly kind: "copy"; readonly address: Address; readonly from: Address; readonly size: number }
  /** memory.copy, or memory.fill where there is no `from`. */
  | { readonly kind: "bulk"; readonly address: Address; readonly from: Address | null; readonly size: number }
  | { readonly kind: "set"; readonly local: Local; readonly address: Address }
  /** Traps in the given round. */
  | { readonly kind: "trap"; readonly round: number }
  /** Runs the program so many places behind, of those that are called together, with the same block; 0: a function that does nothing. */
  | { readonly kind: "call"; readonly ahead: number }
  | { readonly kind: "free" | "branch" };

export interface Program {
  readonly statements: readonly Statement[];
  /** How often they are executed; 0: not in a loop. */
  readonly rounds: number;
  readonly blockBytes: number;
}

/** Programs that may call those behind them. */
export const TOGETHER = 4;

/** @param callable how many programs stand behind it that it may call. @param hasBulk whether some copies and sets are bulk instructions */
export function programOf(seed: number, callable: number, hasBulk: boolean): Program {
  const random = randomOf(seed);
  const one = <T>(values: readonly T[]): T => values[random(values.length)];
  const address = (): Address => ({
    base: one(LOCALS),
    index: random(4) === 0,
    distance: random(3) === 0 ? random(40) - 8 : 0,
    offset: random(4) === 0 ? random(64) : 8 * random(5),
  });
  const statement = (): Statement => {
    const size = one([1, 2, 4, 4, 8, 8, 16]);
    const alignment = random(4) === 0 ? 1 : size;
    if (hasBulk && random(6) === 0)
      return { kind: "bulk", address: address(), from: random(3) > 0 ? address() : null, size: 1 + random(24) };
    switch (random(16)) {
      case 0:
      case 1:
      case 2:
        return { kind: "set", local: one(LOCALS), address: { ...address(), offset: 0 } };
      case 3:
        return random(3) > 0 ? { kind: "call", ahead: random(1 + callable) } : { kind: "free" };
      case 4:
        return random(4) > 0 ? { kind: "branch" } : { kind: "trap", round: random(4) };
      case 5:
      case 6:
        return { kind: "copy", address: address(), from: address(), size: one([1, 2, 4, 8]) };
      default:
        return { kind: random(3) > 0 ? "load" : "store", address: address(), size, alignment };
    }
  };
  // Most loops are nothing but a run.
  const isPlain = random(2) === 0;
  const statements = Array.from({ length: 1 + random(12) }, statement).filter(
    ({ kind }) => !isPlain || (kind !== "free" && kind !== "call" && kind !== "branch"),
  );
  return { statements, rounds: random(2) * (1 + random(6)), blockBytes: 1 + random(120) };
}

const LOADS: Readonly<Record<number, string>> = {
  1: "i64.load8_u",
  2: "i64.load16_u",
  4: "i64.load32_u",
  8: "i64.load",
  16: "i64x2.extract_lane 1 (v128.load",
};
const STORES: Readonly<Record<number, string>> = {
  1: "i64.store8",
  2: "i64.store16",
  4: "i64.store32",
  8: "i64.store",
};

function addressText({ base, index, distance }: Address): string {
  const sum = index ? `(i32.add (local.get $${base}) (i32.shl (local.get $i) (i32.const 3)))` : `(local.get $${base})`;
  if (distance === 0) return sum;
  return distance < 0 ? `(i32.sub ${sum} (i32.const ${-distance}))` : `(i32.add (i32.const ${distance}) ${sum})`;
}

/** With the offset, which bulk instructions do not have. */
function placeText(address: Address): string {
  return `(i32.add ${addressText(address)} (i32.const ${address.offset}))`;
}

function loadText(address: Address, size: number, alignment: number): string {
  const end = size === 16 ? "))" : ")";
  return `(${LOADS[size]} offset=${address.offset} align=${alignment} ${addressText(address)}${end}`;
}

function storeText(address: Address, size: number, alignment: number, value: string): string {
  const place = `offset=${address.offset} align=${alignment} ${addressText(address)}`;
  return size === 16 ? `(v128.store ${place} (i64x2.splat ${value}))` : `(${STORES[size]} ${place} ${value})`;
}

function textOf(statement: Statement, number: number, index: number): string {
  switch (statement.kind) {
    case "load": {
      const loaded = loadText(statement.address, statement.size, statement.alignment);
      return `(local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 3)) ${loaded}))`;
    }
    case "store":
      return storeText(statement.address, statement.size, statement.alignment, `(i64.const ${number + 1})`);
    case "copy":
      return storeText(statement.address, statement.size, 1, loadText(statement.from, statement.size, 1));
    case "bulk": {
      const [to, size] = [placeText(statement.address), `(i32.const ${statement.size})`];
      if (statement.from === null) return `(memory.fill ${to} (i32.const ${number + 1}) ${size})`;
      return `(memory.copy ${to} ${placeText(statement.from)} ${size})`;
    }
    case "set":
      return `(local.set $${statement.local} ${addressText(statement.address)})`;
    case "trap":
      return `(drop (i32.div_u (i32.const 1) (i32.xor (local.get $i) (i32.const ${statement.round}))))`;
    case "free":
      return "(call $free (local.get $block))";
    case "call":
      if (statement.ahead === 0) return "(call $nothing)";
      return `(local.set $sum (i64.xor (local.get $sum) (call $run${index + statement.ahead} (local.get $block))))`;
    case "branch":
      return "(block (br_if 0 (local.get $i)) (local.set $r (local.get $q)))";
  }
}

function functionText({ statements, rounds }: Program, index: number): string {
  const body = statements.map((statement, number) => textOf(statement, number, index)).join("\n");
  const looped =
    rounds === 0
      ? body
      : `(loop $l ${body} (br_if $l (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${rounds}))))`;
  return `(func $run${index} (export "run${index}") (param $block i32) (result i64)
      (local $p i32) (local $q i32) (local $r i32) (local $i i32) (local $sum i64)
      (local.set $p (local.get $block)) (local.set $q (i32.add (local.get $block) (i32.const 16))) (local.set $r (i32.const 2048))
      ${looped}
      (local.get $sum))`;
}

export function moduleText(programs: readonly Program[]): string {
  return `(module (memory 1)
    (func $malloc (param i32) (result i32) unreachable) (func $free (param i32) unreachable) (func $nothing)
    ${programs.map(functionText).join("\n")})`;
}
