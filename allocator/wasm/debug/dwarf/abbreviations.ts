// Abbreviation tables: the shapes of debugging information entries (DWARF 5, 7.5.3). Each shape comes with a plan to pass
// over it, since most entries describe types and variables that no report needs.

import { ByteReader, MalformedDebugData } from "../sections/byte-reader.ts";
import type { Budget } from "./budget.ts";
import { FORM } from "./constants.ts";
import { type Encoding, fixedFormBytes, skipVariableForm } from "./forms.ts";

export interface Abbreviation {
  readonly tag: number;
  readonly hasChildren: boolean;
  /** Attribute, form and constant (of `DW_FORM_implicit_const`, else 0) of each value, in order. */
  readonly attributes: readonly number[];
  readonly forms: readonly number[];
  readonly constants: readonly number[];
  /** To pass over an entry: a number ≥ 0 is that many bytes, a number below 0 is a value of the form of opposite sign. */
  readonly plan: readonly number[];
}

export type AbbreviationTable = ReadonlyMap<number, Abbreviation>;

/** Tables by where they start; units that share one share its shapes, if their widths are the same too. */
export class AbbreviationCache {
  private readonly bytes: Uint8Array;
  private readonly budget: Budget;
  private readonly tables = new Map<string, AbbreviationTable>();

  constructor(bytes: Uint8Array, budget: Budget) {
    this.bytes = bytes;
    this.budget = budget;
  }

  /** The table at `offset`; where it is cut short, the shapes before. */
  at(offset: number, encoding: Encoding): AbbreviationTable {
    const key = `${offset} ${encoding.version} ${encoding.offsetBytes} ${encoding.addressBytes}`;
    let table = this.tables.get(key);
    if (table === undefined) {
      table = this.read(offset, encoding);
      this.tables.set(key, table);
    }
    return table;
  }

  private read(offset: number, encoding: Encoding): AbbreviationTable {
    const table = new Map<number, Abbreviation>();
    try {
      const reader = new ByteReader(this.bytes, offset);
      for (let code = reader.uleb(); code !== 0; code = reader.uleb()) {
        const abbreviation = readAbbreviation(reader, encoding);
        table.set(code, abbreviation);
        if (!this.budget.spend(1 + abbreviation.attributes.length)) break;
      }
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
    }
    return table;
  }
}

function readAbbreviation(reader: ByteReader, encoding: Encoding): Abbreviation {
  const tag = reader.uleb();
  const hasChildren = reader.u8() !== 0;
  const attributes: number[] = [];
  const forms: number[] = [];
  const constants: number[] = [];
  for (;;) {
    const attribute = reader.uleb();
    const form = reader.uleb();
    if (attribute === 0 && form === 0) break;
    attributes.push(attribute);
    forms.push(form);
    constants.push(form === FORM.implicitConst ? reader.sleb() : 0);
  }
  return { tag, hasChildren, attributes, forms, constants, plan: planToSkip(forms, encoding) };
}

/** Neighbours of fixed width become one step. */
function planToSkip(forms: readonly number[], encoding: Encoding): number[] {
  const plan: number[] = [];
  let fixedBytes = 0;
  for (const form of forms) {
    const lengthBytes = fixedFormBytes(form, encoding);
    if (lengthBytes >= 0) {
      fixedBytes += lengthBytes;
      continue;
    }
    if (fixedBytes > 0) plan.push(fixedBytes);
    fixedBytes = 0;
    plan.push(-form);
  }
  if (fixedBytes > 0) plan.push(fixedBytes);
  return plan;
}

/** Moves `reader` behind the values of an entry of this shape. */
export function skipEntry(reader: ByteReader, abbreviation: Abbreviation, encoding: Encoding): void {
  for (const step of abbreviation.plan) {
    if (step >= 0) reader.skip(step);
    else skipVariableForm(reader, -step, encoding);
  }
}
