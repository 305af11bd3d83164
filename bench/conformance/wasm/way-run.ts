// Runs the commands of one script in one way, and says of each whether it holds. One way is compared with another in script-run.ts.
import { createHash } from "node:crypto";
import { type FunctionType, type Module as ReadModule, typeOfFunction } from "../../../allocator/wasm/binary/module.ts";
import { readModule } from "../../../allocator/wasm/binary/read-module.ts";
import { Instance, Module } from "../../../allocator/wasm/guest/functions.ts";
import { WASM_PAGE } from "../../../allocator/wasm/rewriting/layout.ts";
import { PRIVATE, START_NAME } from "../../../allocator/wasm/rewriting/rewriter.ts";
import { type Exports, engine, type Imports } from "../../../platform/host/engine.ts";
import { assemble } from "./assemble.ts";
import { callByBits, isAllNumbers, isPlain } from "./calls.ts";
import { type Action, type Command, type Constant, isSource, type ModuleSource } from "./commands.ts";
import { matchesBits, matchesValue, valueOfConstant } from "./constants.ts";
import {
  exhaustionOf,
  failed,
  HELD,
  invalidityOf,
  linkErrorOf,
  NoAnswer,
  type Outcome,
  outcomeOf,
  skipped,
  trapOf,
} from "./outcome.ts";
import { hostModule, type Way } from "./ways.ts";

interface Loaded {
  readonly exports: Exports;
  readonly module: ReadModule;
  /** On the heap; null: the engine's own. */
  readonly instance: Instance | null;
}

/** An instance, or why there is none. */
type Named = Loaded | Outcome;

function isMissing(named: Named): named is Outcome {
  return "verdict" in named;
}

export class WayRun {
  private readonly way: Way;
  private readonly bits: ReadonlyMap<string, Uint8Array>;
  private readonly imports: Imports;
  private readonly missingImports = new Map<string, Outcome>();
  private readonly instances = new Map<string, Named>();
  private readonly definitions = new Map<string, ModuleSource>();
  private last: Named = skipped("there is no module yet");
  private lastDefinition: ModuleSource | null = null;
  /** In order; every one that was made. */
  readonly all: Loaded[] = [];

  constructor(way: Way, bits: ReadonlyMap<string, Uint8Array>) {
    this.way = way;
    this.bits = bits;
    this.imports = { spectest: hostModule(way) };
  }

  run(command: Command): Outcome {
    try {
      return this.execute(command);
    } catch (error) {
      return outcomeOf(error);
    }
  }

  dispose(): void {
    for (const { instance } of this.all) instance?.[Symbol.dispose]();
  }

  private execute(command: Command): Outcome {
    switch (command.kind) {
      case "module":
        return this.load(command.name, command.source);
      case "definition":
        this.lastDefinition = command.source;
        if (command.name !== null) this.definitions.set(command.name, command.source);
        return HELD;
      case "instance": {
        const source = command.definition === null ? this.lastDefinition : this.definitions.get(command.definition);
        return source === null || source === undefined
          ? skipped("no such definition")
          : this.load(command.name, source);
      }
      case "register":
        return this.register(command.as, command.name === null ? this.last : this.instances.get(command.name));
      case "action":
        this.perform(command.action);
        return HELD;
      case "assert_return":
        return this.assertReturn(command.action, command.results);
      case "assert_trap":
        return assertThrows(() => this.performOrLoad(command.action), trapOf);
      case "assert_exhaustion":
        return assertThrows(() => this.perform(command.action), exhaustionOf);
      case "assert_exception":
        return assertThrows(
          () => this.perform(command.action),
          () => "an exception",
        );
      case "assert_invalid":
      case "assert_malformed":
        return this.assertInvalid(command.source);
      case "assert_unlinkable":
        return assertThrows(() => this.instantiate(command.source), linkErrorOf);
    }
  }

  private load(name: string | null, source: ModuleSource): Outcome {
    let outcome = HELD;
    try {
      const loaded = this.instantiate(source);
      this.last = loaded;
    } catch (error) {
      outcome = outcomeOf(error);
      this.last = outcome;
    }
    if (name !== null) this.instances.set(name, this.last);
    return outcome;
  }

  private instantiate(source: ModuleSource): Loaded {
    const bytes = bytesOf(source);
    if (!engine.validate(bytes)) throw new NoAnswer(skipped("a module that the engine finds invalid"));
    const module = readModule(bytes);
    for (const { module: from } of module.imports) {
      const missing = this.missingImports.get(from);
      if (missing !== undefined) throw new NoAnswer(missing);
    }
    const loaded = { module, ...this.instanceOf(module, bytes) };
    this.all.push(loaded);
    return loaded;
  }

  private instanceOf({ memory }: ReadModule, bytes: Uint8Array): Pick<Loaded, "exports" | "instance"> {
    const { options } = this.way;
    if (options === null)
      return { exports: new engine.Instance(new engine.Module(bytes), this.imports).exports, instance: null };
    const module = new Module(bytes, options);
    if (memory === null) return { exports: withoutHeap(module, this.imports), instance: null };
    const instance = new Instance(module, this.imports);
    return { exports: instance.exports, instance };
  }

  private register(as: string, named: Named | undefined): Outcome {
    if (named === undefined) return skipped("no such module");
    if (isMissing(named)) this.missingImports.set(as, named);
    else {
      this.missingImports.delete(as);
      this.imports[as] = named.exports;
    }
    return isMissing(named) ? named : HELD;
  }

  private find(name: string | null): Loaded {
    const named = name === null ? this.last : this.instances.get(name);
    if (named === undefined) throw new NoAnswer(skipped("no such module"));
    if (isMissing(named)) throw new NoAnswer(named);
    return named;
  }

  private performOrLoad(given: Action | ModuleSource): void {
    if (isSource(given)) this.instantiate(given);
    else this.perform(given);
  }

  /** Of an action whose results do not matter. */
  private perform(action: Action): void {
    const loaded = this.find(action.instance);
    if (action.kind === "get") return;
    const called = loaded.exports[action.name];
    if (isAllNumbers(typeOf(loaded, action.name)))
      callByBits(called, typeOf(loaded, action.name), this.bitsOf(action.values));
    else (called as (...values: unknown[]) => unknown)(...action.values.map((value) => this.valueOf(value)));
  }

  private assertReturn(action: Action, results: readonly Constant[]): Outcome {
    const loaded = this.find(action.instance);
    const before = findingsOf(loaded);
    const outcome =
      action.kind === "get" ? this.assertGlobal(loaded, action, results) : this.assertCall(loaded, action, results);
    if (outcome === HELD && findingsOf(loaded) > before)
      return failed(`a finding: ${loaded.instance!.checker.toText({ stable: true }).split("\n")[0]}`);
    return outcome;
  }

  private assertGlobal({ exports }: Loaded, { name }: Action, [expected]: readonly Constant[]): Outcome {
    if (expected.word === "v128.const") return skipped("a vector in a global, which JavaScript cannot see");
    const got = (exports[name] as { value: unknown }).value;
    return matchesValue(expected, this.bits, got) ? HELD : failed(`expected ${expected.text}, got ${String(got)}`);
  }

  private assertCall(loaded: Loaded, { name, values }: Action, results: readonly Constant[]): Outcome {
    const type = typeOf(loaded, name);
    const called = loaded.exports[name];
    if (results.length !== type.results.length) return failed(`${type.results.length} results`);
    if (isPlain(type) || !isAllNumbers(type)) {
      const got = (called as (...values: unknown[]) => unknown)(...values.map((value) => this.valueOf(value)));
      const list = results.length === 1 ? [got] : ((got ?? []) as unknown[]);
      return results.every((expected, index) => matchesValue(expected, this.bits, list[index]))
        ? HELD
        : failed(`expected ${textOf(results)}, got ${String(got)}`);
    }
    const got = callByBits(called, type, this.bitsOf(values));
    return results.every((expected, index) => this.matches(expected, got[index]))
      ? HELD
      : failed(`expected ${textOf(results)}, got ${got.map((bytes) => Buffer.from(bytes).toString("hex")).join(" ")}`);
  }

  private matches(expected: Constant, got: Uint8Array): boolean {
    if (expected.word === "either") return expected.alternatives.some((one) => this.matches(one, got));
    return matchesBits(expected, this.bits.get(expected.text)!, got);
  }

  private assertInvalid(source: ModuleSource): Outcome {
    if (source.form === "quote") return skipped("a text that only a reader of text can judge");
    const bytes = bytesOf(source);
    if (engine.validate(bytes)) return skipped("an invalid module that the engine finds valid");
    const { options } = this.way;
    return assertThrows(() => (options === null ? new engine.Module(bytes) : new Module(bytes, options)), invalidityOf);
  }

  private bitsOf(values: readonly Constant[]): Uint8Array[] {
    return values.map((value) => this.bits.get(value.text)!);
  }

  private valueOf(constant: Constant): unknown {
    const value = valueOfConstant(constant, this.bits);
    if (value === undefined) throw new NoAnswer(skipped(`${constant.word}, which JavaScript cannot give`));
    return value;
  }
}

/**
 * The exports of a rewritten module that has no memory, and that no heap is made for: scripts have thousands of these, and a heap's
 * tables take some milliseconds. What its code would report is a trap here, since its table of the host's functions is empty.
 */
function withoutHeap(module: Module, imports: Imports): Exports {
  const { exports } = new engine.Instance(module.engineModule, imports);
  (exports[START_NAME] as (() => void) | undefined)?.();
  return Object.fromEntries(Object.entries(exports).filter(([name]) => !name.startsWith(PRIVATE)));
}

function assertThrows(run: () => unknown, expected: (error: unknown) => string | null): Outcome {
  try {
    run();
  } catch (error) {
    const detail = expected(error);
    return detail === null ? outcomeOf(error) : { verdict: "held", detail };
  }
  return failed("no error");
}

const assembled = new WeakMap<ModuleSource, Uint8Array<ArrayBuffer>>();

/** @throws NotAssembled */
function bytesOf(source: ModuleSource): Uint8Array {
  if (source.form === "binary") return source.bytes;
  let bytes = assembled.get(source);
  if (bytes === undefined) {
    bytes = assemble(source.text);
    assembled.set(source, bytes);
  }
  return bytes;
}

function typeOf({ module }: Loaded, name: string): FunctionType {
  const entry = module.exports.find((one) => one.name === name && one.kind === 0);
  if (entry === undefined) throw new Error(`no function ${name} is exported`);
  return typeOfFunction(module, entry.index);
}

function findingsOf({ instance }: Loaded): number {
  return instance?.checker.findings.length ?? 0;
}

function textOf(results: readonly Constant[]): string {
  return results.length === 0 ? "nothing" : results.map(({ text }) => text).join(" ");
}

/** Larger memories are not compared. */
const LARGEST_COMPARED = 2 ** 24;

/** The memories and globals that an instance exports, for comparison with those in another way. */
export function stateOf({ exports, instance }: Loaded): string[] {
  return Object.entries(exports).flatMap(([name, value]) => {
    if (value instanceof engine.Memory) {
      const length = instance === null ? value.buffer.byteLength : instance.guest.pages * WASM_PAGE;
      const bytes = new Uint8Array(value.buffer, 0, Math.min(length, LARGEST_COMPARED));
      return [`memory ${name}: ${length} bytes, SHA-1 ${createHash("sha1").update(bytes).digest("hex")}`];
    }
    if (value instanceof engine.Global) return [`global ${name}: ${globalText(value)}`];
    return [];
  });
}

function globalText(global: { value: unknown }): string {
  try {
    return typeof global.value === "object" ? "a reference" : String(global.value);
  } catch {
    return "a vector";
  }
}
