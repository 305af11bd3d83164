// Writes down what a fuzzed program calls, as lines that run: objects are handed out as proxies that note each call before it is
// made. While programs are only searched for, nothing is written and objects stay as they are (`silent`).

/** What a program is written down in. */
export interface Journal {
  /** The object under its name in the lines; calls of its methods become lines. */
  readonly wrap: <T extends object>(object: T, name: string) => T;
  /** Notes `const name = text;` and wraps what `make` gives. */
  readonly make: <T extends object>(name: string, text: string, make: () => T) => T;
  /** The object behind a wrapped one. */
  readonly unwrap: <T>(value: T) => T;
  readonly note: (line: string) => void;
}

/** Writes nothing. */
export const silent: Journal = {
  wrap: (object) => object,
  make: (_name, _text, make) => make(),
  unwrap: (value) => value,
  note: () => {},
};

/** Lines beyond this are cut: a program that was shrunk has few. */
const MOST_LINES = 400;

type Method = (...given: unknown[]) => unknown;

export class WrittenJournal implements Journal {
  readonly lines: string[] = [];
  private readonly targets = new WeakMap<object, object>();
  private readonly proxies = new WeakMap<object, object>();
  private readonly names = new Map<string, number>();

  readonly note = (line: string): void => {
    if (this.lines.length < MOST_LINES) this.lines.push(line);
  };

  readonly unwrap = <T>(value: T): T => {
    if ((typeof value !== "object" && typeof value !== "function") || value === null) return value;
    return (this.targets.get(value) as T | undefined) ?? value;
  };

  readonly make = <T extends object>(name: string, text: string, make: () => T): T => {
    const free = this.freeName(name);
    this.note(`const ${free} = ${text};`);
    return this.wrap(make(), free);
  };

  readonly wrap = <T extends object>(object: T, name: string): T => {
    const known = this.proxies.get(object);
    if (known !== undefined) return known as T;
    const proxy = new Proxy(object, {
      get: (target, key) => this.read(target, key, name),
      set: (target, key, value) => {
        this.note(`${name}.${String(key)} = ${show(value, this.nameOf)};`);
        return Reflect.set(target, key, this.unwrap(value), target);
      },
    });
    this.targets.set(proxy, object);
    this.proxies.set(object, proxy);
    this.labels.set(object, name);
    return proxy;
  };

  private readonly labels = new WeakMap<object, string>();
  private readonly nameOf = (value: object): string | undefined => this.labels.get(this.unwrap(value));

  private freeName(name: string): string {
    const count = (this.names.get(name) ?? 0) + 1;
    this.names.set(name, count);
    return count === 1 ? name : `${name}${count}`;
  }

  private read(target: object, key: PropertyKey, name: string): unknown {
    const value = Reflect.get(target, key, target) as unknown;
    const place = typeof key === "symbol" ? `${name}[${key.description}]` : `${name}.${String(key)}`;
    if (typeof value === "function") return (...given: unknown[]) => this.call(target, value as Method, place, given);
    return isNamed(value) ? this.wrap(value, place) : value;
  }

  private call(target: object, method: Method, place: string, given: readonly unknown[]): unknown {
    const last = given.at(-1);
    const isBlock = typeof last === "function" && place.endsWith(".withThread");
    const shown = (isBlock ? given.slice(0, -1) : given).map((value) => show(value, this.nameOf));
    const line = this.lines.length;
    this.note(isBlock ? `${place}(${[...shown, "() => {"].join(", ")}` : `${place}(${shown.join(", ")});`);
    let result: unknown;
    try {
      result = method.apply(target, given.map(this.unwrap));
    } finally {
      if (isBlock) this.note("});");
    }
    if (line < this.lines.length && !isBlock) {
      if (isNamed(result)) {
        const result_ = this.freeName(result.constructor.name.toLowerCase());
        this.lines[line] = `const ${result_} = ${this.lines[line]}`;
        return this.wrap(result, result_);
      }
      if (typeof result === "number") this.lines[line] += ` // ${show(result, this.nameOf)}`;
    }
    return isNamed(result) ? this.wrap(result, place) : result;
  }
}

/** An object of a class of the project's, which later lines may name. */
function isNamed(value: unknown): value is object {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
    return false;
  const unnamed: unknown[] = [Object, Array, Map, Set, WeakMap, Error, undefined];
  return !unnamed.includes(value.constructor);
}

/** Text that stands in a shown value as it is. */
export class Source {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A value as a program would say it. */
export function show(value: unknown, nameOf: (value: object) => string | undefined = () => undefined): string {
  if (typeof value === "number") {
    return Number.isInteger(value) && Math.abs(value) > 0xffff
      ? `0x${value.toString(16)}`.replace("0x-", "-0x")
      : `${value}`;
  }
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "() => {}";
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Source) return value.text;
  const name = nameOf(value);
  if (name !== undefined) return name;
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}.of(${[...(value as Uint8Array)].join(", ")})`;
  if (Array.isArray(value)) return `[${value.map((one) => show(one, nameOf)).join(", ")}]`;
  const fields = Object.entries(value).map(([key, part]) => `${key}: ${show(part, nameOf)}`);
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
}
