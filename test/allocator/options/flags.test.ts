// Scudo's option string: upstream's flags tests mirrored (S33), then the oddities of the grammar (S15.3).
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HeapError } from "../../../allocator/common/heap-error.ts";
import {
  DEFAULT_FLAGS,
  type FlagTable,
  formatUnknownFlags,
  parseFlags,
  type UnknownFlag,
} from "../../../allocator/options/flags.ts";
import { OptionError } from "../../../allocator/options/option-error.ts";

function parse(text: string | null | undefined, flags: FlagTable): FlagTable {
  parseFlags(text, flags);
  return flags;
}

function failure(text: string, flags: FlagTable = { ...DEFAULT_FLAGS }): OptionError {
  try {
    parseFlags(text, flags);
  } catch (error) {
    if (error instanceof OptionError) return error;
    throw error;
  }
  throw new Error(`'${text}' was accepted`);
}

describe("boolean flags", () => {
  test.each(["1", "yes", "'yes'", '"1"', "true", "'true'", "trueish", "1x"])("%s is true", (value) => {
    expect(parse(`flag_name=${value}`, { flag_name: false })).toEqual({ flag_name: true });
  });

  test.each(["0", '"0"', "no", "'no'", "false", "'false'", "nope"])("%s is false", (value) => {
    expect(parse(`flag_name=${value}`, { flag_name: true })).toEqual({ flag_name: false });
  });

  test.each(["", "2", "-1", "on"])("'%s' is no boolean", (value) => {
    const error = failure(`flag_name=${value}`, { flag_name: true });
    expect(error.report).toBe(`Scudo ERROR: invalid value for bool option: '${value}'\n`);
  });

  test("a name without '=' is an error", () => {
    expect(failure("flag_name", { flag_name: true }).report).toBe("Scudo ERROR: expected '='\n");
  });
});

describe("int flags", () => {
  test.each([
    ["0", 0],
    ["'0'", 0],
    ["42", 42],
    ["-42", -42],
    ['"-42"', -42],
    ["+7", 7],
    ["2147483647", 2147483647],
    ["-2147483648", -2147483648],
  ])("%s is %d", (value, expected) => {
    expect(parse(`flag_name=${value}`, { flag_name: -11 })).toEqual({ flag_name: expected });
  });

  test.each(["42U", "abc", "12x", "99999999999", "2147483648", "-2147483649"])("%s is no int", (value) => {
    const error = failure(`flag_name=${value}`, { flag_name: 0 });
    expect(error.report).toBe(`Scudo ERROR: invalid value for int option: '${value}'\n`);
  });

  test("the value 0 is never minus zero", () => {
    expect(Object.is(parse("flag_name=-0", { flag_name: 5 }).flag_name, 0)).toBe(true);
  });
});

describe("the string", () => {
  test.each(["--flag_name=42", "zzzzzzz=1"])("an unknown name (%s) leaves every value as it was", (text) => {
    expect(parse(text, { flag_name: 7 })).toEqual({ flag_name: 7 });
  });

  test.each([" ", ":", ",", "\n", "\r\n", "\t", " : ,"])(
    "two flags may be separated by %j, in both orders",
    (separator) => {
      expect(parse(`a=1${separator}b=2`, { a: 0, b: 0 })).toEqual({ a: 1, b: 2 });
      expect(parse(`b=2${separator}a=1`, { a: 0, b: 0 })).toEqual({ a: 1, b: 2 });
    },
  );

  test("names where one is a suffix of the other are told apart", () => {
    expect(parse("flag=1:other_flag=2", { flag: 0, other_flag: 0 })).toEqual({ flag: 1, other_flag: 2 });
    expect(parse("other_flag=2:flag=1", { flag: 0, other_flag: 0 })).toEqual({ flag: 1, other_flag: 2 });
  });

  test("no string at all, or an empty one, sets nothing", () => {
    for (const text of [null, undefined, "", "::, \n"])
      expect(parse(text, { ...DEFAULT_FLAGS })).toEqual(DEFAULT_FLAGS);
  });

  test("the real flags parse", () => {
    const flags = parse("delete_size_mismatch=no:zero_contents=1,release_to_os_interval_ms=-1", { ...DEFAULT_FLAGS });
    const expected = { delete_size_mismatch: false, zero_contents: true, release_to_os_interval_ms: -1 };
    expect(flags).toEqual({ ...DEFAULT_FLAGS, ...expected });
  });

  test("of a flag given twice the later wins", () => {
    expect(parse("zero_contents=1:zero_contents=0", { ...DEFAULT_FLAGS })).toEqual(DEFAULT_FLAGS);
  });

  test("a quote that is not closed is an unterminated string", () => {
    expect(failure('release_to_os_interval_ms="100').report).toBe("Scudo ERROR: unterminated string\n");
  });

  test("a bad value is reported with all that follows it", () => {
    expect(failure("zero_contents=2:foo=1").report).toBe("Scudo ERROR: invalid value for bool option: '2:foo=1'\n");
  });

  test("an error names the option, the value and the nearest right one", () => {
    const error = failure("zero_contents=treu");
    expect(error).toMatchObject({ option: "zero_contents", value: "treu", nearest: "true", kind: "invalid-option" });
    expect(failure("zero_content")).toMatchObject({ option: "zero_content", nearest: "zero_contents" });
  });
});

describe("unknown names", () => {
  test("are listed once, each to the end of the whole string", () => {
    const unknown: UnknownFlag[] = [];
    parseFlags("foo=1:may_return_null=0:bar=2", { ...DEFAULT_FLAGS }, unknown);
    const lines = ["    foo=1:may_return_null=0:bar=2\n", "    bar=2\n"];
    expect(formatUnknownFlags(unknown)).toBe(`Scudo WARNING: found 2 unrecognized flag(s):\n${lines.join("")}`);
  });

  test("up to 16 are collected, the 17th is a failed CHECK", () => {
    const text = Array.from({ length: 17 }, (_, index) => `u${index}=1`).join(":");
    const attempt = (): void => parseFlags(text, { ...DEFAULT_FLAGS });
    expect(attempt).toThrow(HeapError);
    expect(attempt).toThrow("(NumberOfUnknownFlags) < (MaxUnknownFlags) ((u64)op1=16, (u64)op2=16)");
  });
});

test("any flags written by the grammar are read back", () => {
  const separator = fc.stringMatching(/^[ ,:\n\t\r]{1,4}$/);
  const quote = fc.constantFrom("", "'", '"');
  const entry = fc.record({
    name: fc.constantFrom("a", "b", "c"),
    value: fc.integer({ min: -1000, max: 1000 }),
    quote,
    separator,
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 8 }), (entries) => {
      const text = entries.map((e) => `${e.name}=${e.quote}${e.value}${e.quote}${e.separator}`).join("");
      const expected: FlagTable = { a: 0, b: 0, c: 0 };
      for (const e of entries) expected[e.name] = e.value;
      expect(parse(text, { a: 0, b: 0, c: 0 })).toEqual(expected);
    }),
  );
});
