// One debugging information entry (DIE) with the few attributes that a report needs, read into a reused record.
// Values stay as written until they are resolved (unit.ts), since an index is worth nothing before its base is known.

import type { ByteReader } from "../sections/byte-reader.ts";
import type { Abbreviation } from "./abbreviations.ts";
import { ATTRIBUTE, FORM } from "./constants.ts";
import { directForm, type Encoding, readForm, skipForm } from "./forms.ts";

/** Attributes from here on have no place in the record, but for the forerunner of the linkage name. */
const ATTRIBUTES = 0x80;

/** Place of each attribute that is wanted, from 1; 0 for the others. */
const PLACES = new Uint8Array(ATTRIBUTES);
let placeCount = 1;
for (const attribute of Object.values(ATTRIBUTE)) if (attribute < ATTRIBUTES) PLACES[attribute] = placeCount++;

export class Entry {
  abbreviation: Abbreviation | null = null;
  /** Form of each attribute that the entry has, by place; 0 for the others. */
  private readonly forms = new Int32Array(placeCount);
  private readonly values = new Float64Array(placeCount);

  has(attribute: number): boolean {
    return this.forms[PLACES[attribute]] !== 0;
  }

  /** 0 if the entry has no such attribute. */
  formOf(attribute: number): number {
    return this.forms[PLACES[attribute]];
  }

  /** As it is written, and meaningless if the entry has no such attribute. */
  valueOf(attribute: number): number {
    return this.values[PLACES[attribute]];
  }

  /** Reads the values of an entry of this shape; its code was read before. */
  read(reader: ByteReader, abbreviation: Abbreviation, encoding: Encoding): void {
    this.abbreviation = abbreviation;
    this.forms.fill(0);
    const { attributes, forms, constants } = abbreviation;
    for (let index = 0; index < attributes.length; index++) {
      const form = forms[index];
      const attribute = attributes[index] === ATTRIBUTE.mipsLinkageName ? ATTRIBUTE.linkageName : attributes[index];
      const place = attribute < ATTRIBUTES ? PLACES[attribute] : 0;
      if (place === 0) {
        skipForm(reader, form, encoding);
        continue;
      }
      const direct = form === FORM.indirect ? directForm(reader) : form;
      this.forms[place] = direct;
      this.values[place] = form === FORM.implicitConst ? constants[index] : readForm(reader, direct, encoding);
    }
  }
}

/** Whether a value of this form is an offset in the unit (as `DW_FORM_ref4`) rather than in the section. */
export function isUnitReference(form: number): boolean {
  return (form >= FORM.ref1 && form <= FORM.ref8) || form === FORM.refUdata;
}

/** Whether a value of this form is an address or an index of one: a `DW_AT_high_pc` of any other form is a length. */
export function isAddressForm(form: number): boolean {
  return form === FORM.addr || isAddressIndex(form);
}

export function isAddressIndex(form: number): boolean {
  return form === FORM.addrx || form === FORM.gnuAddrIndex || (form >= FORM.addrx1 && form <= FORM.addrx4);
}

export function isStringIndex(form: number): boolean {
  return form === FORM.strx || form === FORM.gnuStrIndex || (form >= FORM.strx1 && form <= FORM.strx4);
}
