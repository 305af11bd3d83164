// Objects of options that a program gives: a misspelt name or a value of another type is an error, not a default in silence.
// A heap's own options, which also come as text, are allocator/options.

/** What values are: a type, or `"any"` for those that are checked where they are used. */
export type OptionKinds = Readonly<Record<string, "number" | "boolean" | "string" | "function" | "object" | "any">>;

/**
 * @param of whose options they are, for the message
 * @throws TypeError: no object, or an option of another type. RangeError: an option that does not exist
 */
export function requireOptions(of: string, options: unknown, kinds: OptionKinds): void {
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new TypeError(`${of}: options are an object, not ${describe(options)}`);
  for (const name in options) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined)
      throw new RangeError(`${of}: unknown option "${name}"; known are ${Object.keys(kinds).join(", ")}`);
    const value: unknown = (options as Readonly<Record<string, unknown>>)[name];
    if (value === undefined || kind === "any") continue;
    const isRight = kind === "object" ? typeof value === "object" && value !== null : typeof value === kind;
    if (!isRight) throw new TypeError(`${of}: ${name} is of type ${kind}, not ${describe(value)}`);
  }
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" || typeof value === "function"
    ? value === null
      ? "null"
      : typeof value
    : String(value);
}
