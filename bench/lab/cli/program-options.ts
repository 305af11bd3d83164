// Options of the commands that run a WebAssembly program: its folders, environment and memory.
import { statSync } from "node:fs";
import { type Command, Option } from "commander";
import type { GivenFunctions } from "../../../allocator/wasm/index.ts";
import type { WasiProgram } from "../wasm/wasi-program.ts";
import { optionValue } from "./exit.ts";
import { bytesIn } from "./values.ts";

export interface ProgramOptions {
  readonly dir?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly memory?: number;
  readonly functions?: GivenFunctions | "heap";
}

const WASM_PAGE = 65536;

const memorySize = optionValue((text: string): number => {
  const bytes = bytesIn(text);
  if (!(bytes >= 2 ** 24 && bytes < 2 ** 32 && bytes % WASM_PAGE === 0))
    throw new RangeError(`"${text}" is not a size from 16M to below 4G, a multiple of 64K.`);
  return bytes;
});

/** `HOST` or `HOST:GUEST`. */
function addFolder(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.lastIndexOf(":");
  const [host, guest] = at <= 0 ? [text, text] : [text.slice(0, at), text.slice(at + 1)];
  optionValue(() => {
    if (!statSync(host, { throwIfNoEntry: false })?.isDirectory()) throw new RangeError(`"${host}" is no folder.`);
  })(text);
  return { ...before, [guest]: host };
}

function addVariable(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf("=");
  optionValue(() => {
    if (at <= 0) throw new RangeError(`"${text}" is not NAME=VALUE.`);
  })(text);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** `own`, `heap`, or what is malloc and so on: `malloc=12,free=my_free`, by index or by export. */
const functionMap = optionValue((text: string): GivenFunctions | "heap" => {
  if (text === "own" || text === "heap") return text;
  const entries = text.split(",").map((part) => {
    const [, name, place] = /^([^=]+)=(.+)$/.exec(part) ?? [];
    if (place === undefined)
      throw new RangeError(`"${part}" is not own, heap or NAME=INDEX, such as malloc=12,free=13.`);
    return [name, /^\d+$/.test(place) ? Number(place) : place] as const;
  });
  return Object.fromEntries(entries);
});

/** As the option of a module: absent where its own names say what is malloc. */
export function functionsOf({ functions }: ProgramOptions): GivenFunctions | undefined {
  return functions === "heap" ? undefined : functions;
}

/** What is said of a program whose memory is checked without a heap. */
export const NO_MALLOC =
  "no malloc was found in the module: its own allocator ran, and only its memory was checked; --functions malloc=INDEX,free=INDEX says which they are (wasm-opt drops names: docs/wasm.md)";

/** Adds the options and arguments of a program to a command; what stands behind the program is the program's. */
export function withProgram(command: Command): Command {
  return command
    .argument("<program>", "a WASI command: a .wasm file that exports _start")
    .argument("[arguments...]", "the program's own arguments")
    .passThroughOptions()
    .addOption(
      new Option("--dir <folder>", "a folder that the program may open: HOST or HOST:GUEST; may be repeated").argParser(
        addFolder,
      ),
    )
    .addOption(
      new Option("--env <name=value>", "a variable of its environment; may be repeated").argParser(addVariable),
    )
    .addOption(new Option("--memory <size>", "where its addresses end").argParser(memorySize).default(2 ** 30, "1G"))
    .addOption(
      new Option(
        "--functions <which>",
        "which malloc: heap, in place of the module's by their names; own, the module's; or a list such as malloc=12,free=13, by " +
          "index or export",
      )
        .argParser(functionMap)
        .default("heap"),
    );
}

export function programOf(file: string, args: readonly string[], options: ProgramOptions): WasiProgram {
  return { file, args, env: options.env ?? {}, preopens: options.dir ?? {} };
}
