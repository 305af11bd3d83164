// Commands of a script of the official WebAssembly tests: modules, actions and assertions, as the interpreter's README has them.
// Running them is way-run.ts; constants become bits in constants.ts.
import { ScriptError } from "../script.ts";
import { type Expression, lineOf, readExpressions } from "./expressions.ts";

/** A module as the script has it: text for the assembler, or bytes. `quote`: a text that only a reader of text can judge. */
export type ModuleSource =
  | { readonly form: "text" | "quote"; readonly text: string }
  | { readonly form: "binary"; readonly bytes: Uint8Array };

/** A constant, or what a result must look like: the expression's text, such as `(f32.const nan:canonical)`. */
export interface Constant {
  /** `i32.const`, `ref.null` and so on; `either` has alternatives. */
  readonly word: string;
  readonly text: string;
  /** What follows the first word. */
  readonly parts: readonly string[];
  readonly alternatives: readonly Constant[];
}

export interface Action {
  readonly kind: "invoke" | "get";
  /** Of the module, or null: the last one. */
  readonly instance: string | null;
  readonly name: string;
  readonly values: readonly Constant[];
}

export type Command = { readonly line: number; readonly text: string } & (
  | { readonly kind: "module" | "definition"; readonly name: string | null; readonly source: ModuleSource }
  | { readonly kind: "instance"; readonly name: string | null; readonly definition: string | null }
  | { readonly kind: "register"; readonly as: string; readonly name: string | null }
  | { readonly kind: "action"; readonly action: Action }
  | { readonly kind: "assert_return"; readonly action: Action; readonly results: readonly Constant[] }
  | { readonly kind: "assert_trap"; readonly action: Action | ModuleSource; readonly message: string }
  | { readonly kind: "assert_exhaustion" | "assert_exception"; readonly action: Action }
  | { readonly kind: "assert_invalid" | "assert_malformed" | "assert_unlinkable"; readonly source: ModuleSource }
);

/** The kinds that say what must happen. */
export function isAssertion({ kind }: Command): boolean {
  return kind.startsWith("assert_");
}

export function isSource(given: Action | ModuleSource): given is ModuleSource {
  return "form" in given;
}

const COMMANDS = /^(?:module|register|invoke|get|assert_\w+|thread|wait)$/;
const SHOWN = 100;
const decoder = new TextDecoder();

/** @throws ScriptError: a command that there is not, or that lacks something */
export function readCommands(text: string): readonly Command[] {
  const expressions = readExpressions(text);
  if (expressions.length === 0) return [];
  // A script may be one module without brackets around it.
  if (expressions.every(({ word }) => !COMMANDS.test(word)))
    return [
      { line: 1, text: "module", kind: "module", name: null, source: { form: "text", text: `(module ${text}\n)` } },
    ];
  return expressions.map((expression) => new CommandReader(text, expression).read());
}

class CommandReader {
  private readonly text: string;
  private readonly expression: Expression;

  constructor(text: string, expression: Expression) {
    this.text = text;
    this.expression = expression;
  }

  read(): Command {
    const { word, items, start } = this.expression;
    const shown = this.slice(this.expression).replace(/\s+/g, " ");
    const place = {
      line: lineOf(this.text, start),
      text: shown.length <= SHOWN ? shown : `${shown.slice(0, SHOWN - 1)}…`,
    };
    switch (word) {
      case "module":
        return { ...place, ...this.module() };
      case "register":
        return { ...place, kind: "register", as: this.string(items[1]), name: this.name(items[2]) };
      case "invoke":
      case "get":
        return { ...place, kind: "action", action: this.action(this.expression) };
      case "assert_return":
        return {
          ...place,
          kind: word,
          action: this.action(items[1]),
          results: items.slice(2).map((item) => this.constant(item)),
        };
      case "assert_trap": {
        const action = items[1]?.word === "module" ? this.source(items[1]) : this.action(items[1]);
        return { ...place, kind: word, action, message: this.string(items[2]) };
      }
      case "assert_exhaustion":
      case "assert_exception":
        return { ...place, kind: word, action: this.action(items[1]) };
      case "assert_invalid":
      case "assert_malformed":
      case "assert_unlinkable":
        return { ...place, kind: word, source: this.source(items[1]) };
      case "assert_invalid_custom":
        return { ...place, kind: "assert_invalid", source: this.source(items[1]) };
      case "assert_malformed_custom":
        return { ...place, kind: "assert_malformed", source: this.source(items[1]) };
      default:
        return this.fail(`there is no command ${word === "" ? shown : word}`);
    }
  }

  private module() {
    const { items } = this.expression;
    const kind = items[1]?.kind === "word" ? items[1].word : "";
    if (kind === "instance") return { kind, name: this.name(items[2]), definition: this.name(items[3]) } as const;
    const named = items[kind === "definition" ? 2 : 1];
    return {
      kind: kind === "definition" ? kind : "module",
      name: this.name(named),
      source: this.source(this.expression),
    } as const;
  }

  private source(expression: Expression | undefined): ModuleSource {
    if (expression?.word !== "module") return this.fail("a module is missing");
    const items = expression.items.slice(1);
    if (items[0]?.word === "definition") items.shift();
    if (items[0]?.kind === "word" && items[0].word.startsWith("$")) items.shift();
    const form = items[0]?.kind === "word" ? items[0].word : "";
    if (form === "binary" || form === "quote") {
      const bytes = concatenate(items.slice(1).map((item) => item.bytes));
      return form === "binary" ? { form, bytes } : { form, text: decoder.decode(bytes) };
    }
    const from = items[0]?.start ?? expression.end - 1;
    return { form: "text", text: `(module ${this.text.slice(from, expression.end)}` };
  }

  private action(expression: Expression | undefined): Action {
    if (expression?.word !== "invoke" && expression?.word !== "get") return this.fail("an action is missing");
    const items = expression.items.slice(1);
    const instance = items[0]?.kind === "word" ? this.name(items.shift()) : null;
    return {
      kind: expression.word,
      instance,
      name: this.string(items.shift()),
      values: items.map((item) => this.constant(item)),
    };
  }

  private constant(expression: Expression): Constant {
    const { word, items } = expression;
    return {
      word,
      text: this.slice(expression),
      parts: items.slice(1).map((item) => this.slice(item)),
      alternatives: word === "either" ? items.slice(1).map((item) => this.constant(item)) : [],
    };
  }

  private slice({ start, end }: Expression): string {
    return this.text.slice(start, end);
  }

  private name(expression: Expression | undefined): string | null {
    return expression?.kind === "word" && expression.word.startsWith("$") ? expression.word : null;
  }

  private string(expression: Expression | undefined): string {
    return expression?.kind === "string" ? decoder.decode(expression.bytes) : this.fail("a string is missing");
  }

  private fail(what: string): never {
    throw new ScriptError(`line ${lineOf(this.text, this.expression.start)}: ${what}`);
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
