// Linkage names made readable: each scheme by example, beside llvm-cxxfilt over the C++ library's own names where both are
// installed, and names of any making.
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { demangle } from "../../../../../allocator/wasm/debug/demangle/demangle.ts";
import { findTool } from "../symbolizer.ts";

describe("C++ (Itanium ABI)", () => {
  test.each([
    ["_Z3foov", "foo()"],
    ["_Z3fooi", "foo(int)"],
    ["_ZN8geometry3BoxIiEC2Eii", "geometry::Box<int>::Box(int, int)"],
    ["_ZN8geometry3BoxIiED0Ev", "geometry::Box<int>::~Box()"],
    ["_ZNK8geometry3BoxIiEltERKS1_", "geometry::Box<int>::operator<(geometry::Box<int> const&) const"],
    ["_ZN8geometry12_GLOBAL__N_17countedEi", "geometry::(anonymous namespace)::counted(int)"],
    ["_ZZ7largestiENK3$_0clEi", "largest(int)::$_0::operator()(int) const"],
    ["_ZZ4mainENKUlvE_clEv", "main::'lambda'()::operator()() const"],
    ["_Z3addIdET_S0_S0_", "double add<double>(double, double)"],
    ["_Z5applyPFivE", "apply(int (*)())"],
    ["_Z5tableRA4_A8_i", "table(int (&) [4][8])"],
    ["_Z6memberM3FooFivE", "member(int (Foo::*)())"],
    ["_Z4sinkOSt6vectorIiSaIiEE", "sink(std::vector<int, std::allocator<int>>&&)"],
    ["_Z7forwardIJidEEvDpOT_", "void forward<int, double>(int&&, double&&)"],
    ["_Z3bufILj16EEvv", "void buf<16u>()"],
    ["_ZN3FoocvbEv", "Foo::operator bool()"],
    ["_ZlsRSoRK3Foo", "operator<<(std::ostream&, Foo const&)"],
    ["_Znwm", "operator new(unsigned long)"],
    ["_ZTV3Foo", "vtable for Foo"],
    ["_ZGVZ3foovE5cache", "guard variable for foo()::cache"],
    ["_ZThn8_N3Foo3barEv", "non-virtual thunk to Foo::bar()"],
    [
      "_ZNSt3__26vectorIiNS_9allocatorIiEEE9push_backB8nn190107Ei",
      "std::__2::vector<int, std::__2::allocator<int>>::push_back[abi:nn190107](int)",
    ],
    ["_Z3foov.cold", "foo() (.cold)"],
  ])("%s", (mangled, readable) => {
    expect(demangle(mangled)).toBe(readable);
  });
});

describe("Rust's legacy scheme", () => {
  test.each([
    ["_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt"],
    ["_ZN5alloc7raw_vec19RawVec$LT$T$C$A$GT$8grow_one17h0123456789abcdefE", "alloc::raw_vec::RawVec<T,A>::grow_one"],
    [
      "_ZN54_$LT$codec..Reader$u20$as$u20$core..iter..Iterator$GT$4next17h0123456789abcdefE",
      "<codec::Reader as core::iter::Iterator>::next",
    ],
    ["_ZN4main28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE.llvm.123", "main::{{closure}}"],
  ])("%s", (mangled, readable) => {
    expect(demangle(mangled)).toBe(readable);
  });

  test("a last part that is no hash makes it a C++ name", () => {
    expect(demangle("_ZN4core3fmt3fooEv")).toBe("core::fmt::foo()");
  });
});

describe("Rust's v0 scheme", () => {
  test.each([
    ["_RNvCs1234_7mycrate3foo", "mycrate::foo"],
    ["_RNvMs_Cs1234_5codecNtB4_6Reader4read", "<codec::Reader>::read"],
    ["_RNvXCs1234_5codecNtB2_6ReaderNtNtCs5_4core3fmt5Debug3fmt", "<codec::Reader as core::fmt::Debug>::fmt"],
    ["_RINvCs1234_5codec4copyhReE", "codec::copy::<u8, &str>"],
    ["_RNCNvCs1234_5codec4mains0_0B3_", "codec::main::{closure#2}"],
    ["_RINvCs1234_5codec4fillKj10_E", "codec::fill::<16>"],
    ["_RINvCs1_1c1fFEuE", "c::f::<fn()>"],
    ["_RINvCs1_1c1fAhj4_Kb1_E", "c::f::<[u8; 4], true>"],
    ["_RNvNtCs1234_7mycrateu8gdel_5qa3foo", "mycrate::gödel::foo"],
    ["_RINvCs1_1c1fDNtNtCs2_4core3any3AnyEL_E", "c::f::<dyn core::any::Any>"],
  ])("%s", (mangled, readable) => {
    expect(demangle(mangled)).toBe(readable);
  });
});

describe("names that stay as they are", () => {
  test.each([
    "main",
    "",
    "foo::bar()",
    "_Z",
    "_ZN",
    "_ZNE",
    "_R",
    "_RNv",
    "_Z3fo",
    "_Z99999999999foo",
    "_ZN3foo3bar",
    "$s4main",
  ])("%j", (name) => {
    expect(demangle(name)).toBe(name);
  });

  test("C's main under the name that Clang gives it is main", () => {
    expect(demangle("__main_argc_argv")).toBe("main");
  });

  test("back references that double a name at each step end soon", () => {
    // Each template argument list means the one before twice: 2^40 names, written out.
    let name = "_Z1fI1aS_E";
    for (let index = 0; index < 40; index++) name = `_Z1f${"I1aS_".repeat(index)}`;
    expect(demangle(name)).toBe(name);
    let pairs = "_Z1fSt4pairIiiE";
    for (let index = 0; index < 30; index++)
      pairs += `St4pairIS${index === 0 ? "" : (index - 1).toString(36).toUpperCase()}_S_E`;
    expect(demangle(pairs).length).toBeLessThan(0x8000);
    const nested = `_Z1f${"P".repeat(5000)}i`;
    expect(demangle(nested)).toBe(nested);
    let doubled = "TuuE";
    for (let index = 0; index < 60; index++) doubled = `T${doubled}B${index === 0 ? "" : ""}8_E`;
    expect(demangle(`_RINvC1a1f${doubled}E`).length).toBeLessThan(0x8000);
  });

  test("any text that starts as a linkage name gives a text", () => {
    const grammar = [
      ..."NZSTIEKPROFALXJDCUB_0123456789abcdefghijstvxyz",
      "St",
      "Sa",
      "S_",
      "S0_",
      "T_",
      "Dp",
      "Ul",
      "3foo",
      "C1",
      "cv",
      "sr",
    ];
    const parts = fc.array(fc.constantFrom(...grammar), { maxLength: 60 });
    fc.assert(
      fc.property(fc.constantFrom("_Z", "_ZN", "_R", "_RNv", "_RINv"), parts, (prefix, rest) => {
        expect(typeof demangle(prefix + rest.join(""))).toBe("string");
      }),
      { numRuns: 5000 },
    );
  });
});

test("all names of the C++ library read as llvm-cxxfilt reads them", (ctx) => {
  const [nm, filter] = [findTool("llvm-nm"), findTool("llvm-cxxfilt")];
  if (nm === null || filter === null) return ctx.skip("llvm-nm or llvm-cxxfilt is not installed");
  const listed = spawnSync(nm, ["--just-symbol-name", "/usr/lib/wasm32-wasi/libc++.a"], {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  if (listed.status !== 0) return ctx.skip("libc++ for wasm32-wasi is not installed");
  const names = [...new Set(listed.stdout.split("\n"))].filter((name) => name.startsWith("_Z"));
  const filtered = spawnSync(filter, [], { input: `${names.join("\n")}\n`, encoding: "utf8", maxBuffer: 2 ** 26 });
  const expected = filtered.stdout.split("\n");
  // Brackets around operands are the only difference allowed: here all operands that are no names have them.
  const withoutBrackets = (text: string) => text.replace(/[() ]/g, "");
  const different = names.filter((name, index) => withoutBrackets(demangle(name)) !== withoutBrackets(expected[index]));
  expect(names.length).toBeGreaterThan(2000);
  expect(different).toEqual([]);
});
