// How exported names are spelled: the rule of docs/heap.md, held over everything that the package's entry points export.
import { describe, expect, test } from "vitest";
import * as heapEntry from "../../allocator/index.ts";
import { OPTION_NAMES } from "../../allocator/options/options.ts";
import * as kernelEntry from "../../refpage/index.ts";

/** Names with a word of C's, Linux' or Scudo's in them, which are spelled as there. */
const AS_IN_C =
  /^(?:malloc|calloc|realloc|reallocarray|free|memalign|valloc|pvalloc|posix_memalign|aligned_alloc|mallopt|mallinfo2?|errno|releaseToOS|malloc_[a-z_]+|free_[a-z_]+|print_stats|refpage_create2?|SYS_refpage_create2?)$/;
const SYSTEM_CALL = /^(?:process_vm_readv|process_vm_writev|memfd_create)$/;
const CONSTANT = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*$/;
const CAMEL = /^[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)*$/;
const PASCAL = /^(?:[A-Z][a-z0-9]+)+$/;

/** Names of the methods and fields that a class's objects have by their prototypes. */
function membersOf(type: unknown): string[] {
  if (typeof type !== "function" || type.prototype === undefined) return [];
  return Object.getOwnPropertyNames(type.prototype).filter((name) => name !== "constructor");
}

const exported = [...Object.entries(heapEntry), ...Object.entries(kernelEntry)];

describe("an exported name", () => {
  test("is C's as in C, or our own in camelCase, a class in PascalCase, a constant in capitals", () => {
    const odd = exported
      .map(([name]) => name)
      .filter((name) => ![AS_IN_C, CONSTANT, CAMEL, PASCAL].some((form) => form.test(name)));
    expect(odd).toEqual([]);
  });

  test("of a class is in PascalCase, of a function is not", () => {
    const odd = exported.filter(([name, value]) => {
      const isClass = typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));
      return typeof value === "function" && isClass !== PASCAL.test(name);
    });
    expect(odd.map(([name]) => name)).toEqual([]);
  });

  test("of a method is C's as in C, or our own in camelCase", () => {
    const names = exported.flatMap(([, value]) => membersOf(value));
    const odd = names.filter((name) => ![AS_IN_C, SYSTEM_CALL, CAMEL].some((form) => form.test(name)));
    expect([...new Set(odd)]).toEqual([]);
  });

  test("of an option is in camelCase, and says its unit where a number has one", () => {
    const odd = OPTION_NAMES.filter((name) => !CAMEL.test(name) && name !== "releaseToOSIntervalMs");
    expect(odd).toEqual([]);
    const units = OPTION_NAMES.filter((name) => /limit|interval|memory/i.test(name));
    expect(units.filter((name) => !/(?:Bytes|Ms)$/.test(name))).toEqual([]);
  });

  test("spells the operating system in one way", () => {
    const all = [...exported.flatMap(([name, value]) => [name, ...membersOf(value)]), ...OPTION_NAMES];
    expect(all.filter((name) => /ToOs|TOOS|to_os/.test(name))).toEqual([]);
  });
});
