// Punycode (RFC 3492), in which Rust writes identifiers that are not ASCII; its delimiter is an underscore there.

import { NotReadable } from "./common/mangled-text.ts";

/** Parameters of RFC 3492, section 5. */
const BASE = 36;
const T_MIN = 1;
const T_MAX = 26;
const SKEW = 38;
const DAMP = 700;
const INITIAL_BIAS = 72;
const FIRST_CODE_POINT = 0x80;
const LAST_CODE_POINT = 0x10ffff;

const DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789";

/** @throws NotReadable the text is no Punycode */
export function decodePunycode(text: string): string {
  const delimiter = text.lastIndexOf("_");
  const output = delimiter < 0 ? [] : [...text.slice(0, delimiter)];
  let position = delimiter + 1;
  let codePoint = FIRST_CODE_POINT;
  let index = 0;
  let bias = INITIAL_BIAS;
  while (position < text.length) {
    const before = index;
    let weight = 1;
    for (let k = BASE; ; k += BASE) {
      const digit = DIGITS.indexOf(text.charAt(position++) || "?");
      if (digit < 0) throw new NotReadable("no digit of Punycode");
      index += digit * weight;
      const threshold = Math.min(Math.max(k - bias, T_MIN), T_MAX);
      if (digit < threshold) break;
      weight *= BASE - threshold;
    }
    const length = output.length + 1;
    bias = adapt(index - before, length, before === 0);
    codePoint += Math.floor(index / length);
    if (codePoint > LAST_CODE_POINT) throw new NotReadable("no character");
    index %= length;
    output.splice(index++, 0, String.fromCodePoint(codePoint));
  }
  return output.join("");
}

function adapt(delta: number, length: number, isFirst: boolean): number {
  let left = Math.floor(delta / (isFirst ? DAMP : 2));
  left += Math.floor(left / length);
  let k = 0;
  for (; left > ((BASE - T_MIN) * T_MAX) / 2; k += BASE) left = Math.floor(left / (BASE - T_MIN));
  return k + Math.floor(((BASE - T_MIN + 1) * left) / (left + SKEW));
}
