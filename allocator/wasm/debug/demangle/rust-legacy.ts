// Rust's first scheme: a C++-like nested name whose last part is a hash, `_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE`
// (rustc's "legacy" symbol mangling). The hash is left out.

const HASH = /^h[0-9a-f]{16}$/;

const ESCAPES: Readonly<Record<string, string>> = {
  SP: "@",
  BP: "*",
  RF: "&",
  LT: "<",
  GT: ">",
  LP: "(",
  RP: ")",
  C: ",",
};

/** The path, or null if `name` is not of this scheme. */
export function demangleRustLegacy(name: string): string | null {
  const parts: string[] = [];
  let position = "_ZN".length;
  while (name.charAt(position) !== "E") {
    const digits = /^\d{1,5}/.exec(name.slice(position, position + 5))?.[0];
    if (digits === undefined) return null;
    position += digits.length;
    const part = name.slice(position, position + Number(digits));
    if (part.length !== Number(digits)) return null;
    parts.push(part);
    position += part.length;
  }
  // Behind the end stands at most what LLVM adds to copies of a function, `.llvm.123`.
  const suffix = name.slice(position + 1);
  if (suffix !== "" && !suffix.startsWith(".")) return null;
  const hash = parts.pop();
  if (hash === undefined || parts.length === 0 || !HASH.test(hash)) return null;
  return parts.map(unescapePart).join("::");
}

/** `$LT$T$u20$as$u20$Trait$GT$` is `<T as Trait>`; `..` stands for `::`. */
function unescapePart(part: string): string {
  const text = part.startsWith("_$") ? part.slice(1) : part;
  return text.replace(/\$([A-Z]{1,2}|u[0-9a-f]{1,6})\$|\.\./g, (match, code: string | undefined) => {
    if (code === undefined) return "::";
    if (!code.startsWith("u")) return ESCAPES[code] ?? match;
    const point = Number.parseInt(code.slice(1), 16);
    return point >= 0x20 && point <= 0x10ffff ? String.fromCodePoint(point) : match;
  });
}
