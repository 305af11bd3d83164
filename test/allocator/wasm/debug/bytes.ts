// Bytes of WebAssembly's binary format for tests: LEB128 numbers, names, sections, and source maps' numbers.

export function uleb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 0x80;
    rest = Math.floor(rest / 0x80);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

export function text(value: string): number[] {
  const bytes = [...new TextEncoder().encode(value)];
  return [...uleb(bytes.length), ...bytes];
}

export function section(id: number, contents: readonly number[]): number[] {
  return [id, ...uleb(contents.length), ...contents];
}

export function moduleOf(...sections: readonly number[][]): Uint8Array {
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
}

/** Names by index, as the `name` section writes a map of them. */
export function nameMap(names: readonly (readonly [index: number, name: string])[]): number[] {
  return [...uleb(names.length), ...names.flatMap(([index, name]) => [...uleb(index), ...text(name)])];
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function vlq(value: number): string {
  let rest = value < 0 ? -value * 2 + 1 : value * 2;
  let digits = "";
  do {
    const low = rest % 32;
    rest = Math.floor(rest / 32);
    digits += BASE64[rest > 0 ? low + 32 : low];
  } while (rest > 0);
  return digits;
}

/** Absolute segments (offset; then source, line, column; then name) as the differences that a map writes. */
export function mappingsOf(segments: readonly (readonly number[])[]): string {
  const before = [0, 0, 0, 0, 0];
  return segments
    .map((segment) =>
      segment
        .map((value, field) => {
          const difference = value - before[field];
          before[field] = value;
          return vlq(difference);
        })
        .join(""),
    )
    .join(",");
}
