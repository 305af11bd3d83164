// llvm-symbolizer and its neighbours, where they are installed: what they say of a module, and what we say, as lines of text.
import { spawnSync } from "node:child_process";
import { demangle } from "../../../../allocator/wasm/debug/demangle/demangle.ts";
import type { Dwarf } from "../../../../allocator/wasm/debug/dwarf/dwarf.ts";

interface SymbolizedFrame {
  readonly FunctionName: string;
  readonly FileName: string;
  readonly Line: number;
  readonly Column: number;
}

/** The command as it is installed, by its plain name or with LLVM 19's suffix; null if it is not there. */
export function findTool(name: string): string | null {
  const names = [`${name}-19`, name];
  return names.find((command) => spawnSync(command, ["--version"], { encoding: "utf8" }).status === 0) ?? null;
}

/** A line for each address: `name file:line:column`, innermost first; lines that say the same as the one before are left out. */
export function linesOf(addresses: readonly number[], framesOf: (index: number) => readonly string[]): string {
  const lines: string[] = [];
  let before = "";
  for (const [index, address] of addresses.entries()) {
    const text = framesOf(index).join(" < ");
    if (text !== before) lines.push(`0x${address.toString(16)} ${text}`);
    before = text;
  }
  return `${lines.join("\n")}\n`;
}

/** As llvm-symbolizer says it by default: without the approximate lines. */
export function framesByUs(dwarf: Dwarf, addresses: readonly number[]): string {
  const plainNames = (name: string | null) => shortName(demangle(name ?? ""));
  return linesOf(addresses, (index) =>
    dwarf
      .framesAt(addresses[index])
      .map((frame) => line(plainNames(frame.functionName), frame.isApproximate ? { ...frame, line: null } : frame)),
  );
}

/**
 * What llvm-symbolizer says. It takes a physical function's name from the symbol table where it can, and finds data symbols
 * there, too; only the short names are DWARF's own, and so names are compared in their short form.
 */
export function framesBySymbolizer(tool: string, module: string, addresses: readonly number[]): string {
  const input = addresses.map((address) => `0x${address.toString(16)}\n`).join("");
  const options = [`--obj=${module}`, "--output-style=JSON", "--functions=short"];
  const { stdout } = spawnSync(tool, options, { input, encoding: "utf8", maxBuffer: 2 ** 28 });
  const answers = stdout
    .trim()
    .split("\n")
    .flatMap((text) => JSON.parse(text) as { Symbol: SymbolizedFrame[] });
  return linesOf(addresses, (index) =>
    answers[index].Symbol.filter(({ FileName, FunctionName }) => FileName !== "" || FunctionName !== "").map((frame) =>
      line(shortName(frame.FunctionName), {
        file: frame.FileName === "" ? null : frame.FileName.replace(/(?<=^|\/)(?:\.\/+)+/g, ""),
        line: frame.Line,
        column: frame.Column,
      }),
    ),
  );
}

function line(name: string, place: { file: string | null; line: number | null; column: number | null }): string {
  if (place.file === null || place.line === null || place.line === 0) return `${name} ${place.file ?? "??"}`;
  return `${name} ${place.file}:${place.line}:${place.column ?? 0}`;
}

/** `bool geometry::Box<int>::area() const` and DWARF's `area` both become `area`; all operators become `operator`. */
export function shortName(name: string): string {
  if (/\boperator\b(?!_)/.test(outsideBrackets(name))) return "operator";
  return outsideBrackets(name)
    .replace(/ const$/, "")
    .split("::")
    .at(-1)!
    .replace(/^.* /, "");
}

function outsideBrackets(name: string): string {
  const text = name.replaceAll("(anonymous namespace)", "_").replace(/\[abi:\w+\]/g, "");
  const start = /\boperator(?:\(\)|[<>=!-]+)/.exec(text);
  let depth = 0;
  let outside = "";
  for (const [index, character] of [...text].entries()) {
    if (start !== null && index >= start.index) break;
    if ("<([{".includes(character)) depth++;
    if (depth === 0) outside += character;
    if (">)]}".includes(character)) depth--;
  }
  return start === null ? outside : `${outside}operator`;
}
