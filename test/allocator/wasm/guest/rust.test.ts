// Rust on its standard library: what safe code does is no finding, what unsafe code does wrong is one, by its names in both manglings;
// built where a compiler is installed.
import { describe, expect, test } from "vitest";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import type { EngineMemory } from "../../../../platform/host/engine.ts";
import { compileRust } from "../rustc.ts";
import { TinyWasi } from "../wasi.ts";

const PROGRAM = `use std::alloc::{alloc, dealloc, Layout};
mod codec {
    pub struct Reader<T> { pub p: *mut T }
    impl<T: Copy> Reader<T> {
        #[inline(never)] pub fn at(&self, i: isize) -> T { unsafe { *self.p.offset(i) } }
    }
}
use codec::Reader;
#[no_mangle] pub extern "C" fn safe() -> usize {
    use std::{collections::BTreeMap, rc::Rc};
    let mut map: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for i in 0..500usize { map.entry(format!("key {}", i * 7919 % 61)).or_default().push(i); }
    let mut longest: Vec<_> = map.iter().map(|(name, all)| (all.len(), name.to_uppercase())).collect();
    longest.sort_by(|a, b| b.cmp(a));
    let shared = Rc::new(longest);
    let weak = Rc::downgrade(&shared);
    let text = shared.iter().map(|(n, name)| format!("{:>3} {:.2} {}", n, *n as f64 / 3.0, name)).collect::<Vec<_>>().join(",");
    drop(shared);
    text.replace("KEY", "k").len() + weak.upgrade().is_none() as usize
}
#[no_mangle] pub extern "C" fn over() -> i32 { let mut v = vec![1i32; 10]; Reader { p: v.as_mut_ptr() }.at(10) }
#[no_mangle] pub extern "C" fn stale() -> i32 {
    let r = { let mut v = Box::new([1i32; 10]); Reader { p: v.as_mut_ptr() } };
    r.at(3)
}
#[no_mangle] pub extern "C" fn undefined() -> i32 {
    unsafe {
        let layout = Layout::array::<i32>(8).unwrap();
        let p = alloc(layout) as *mut i32;
        let x = match (Reader { p }).at(2) { 7 => safe() as i32, _ => 1 };
        dealloc(p as *mut u8, layout);
        x
    }
}
#[no_mangle] pub extern "C" fn twice() { unsafe { let p = Box::into_raw(Box::new(5i64)); drop(Box::from_raw(p)); drop(Box::from_raw(p)); } }
#[no_mangle] pub extern "C" fn lost() { std::mem::forget(vec![1u64; 20]); }
`;

const OPTIONS = { memoryBytes: 2 ** 26, uninitialised: "byte", invalidFree: "report" } as const;

function build(...options: readonly string[]): Module | null {
  const bytes = compileRust(PROGRAM, ["-g", "-C", "opt-level=1", ...options]);
  return bytes && new Module(bytes, OPTIONS);
}

/** What is found in a call, as cause or kind, and the first function of the program's in its stack with the line. */
function found(module: Module, name: string): string[] {
  const wasi = new TinyWasi();
  const instance = new Instance(module, wasi.imports);
  wasi.memory = instance.exports.memory as EngineMemory;
  (instance.exports[name] as () => number)();
  instance.checker.leakCheck();
  const findings = instance.checker.findings.map(({ kind, cause, stack }) => {
    const own = stack.find(({ file }) => file.endsWith("program.rs"));
    return `${cause ?? kind} in ${own?.functionName}:${own?.line}`;
  });
  instance[Symbol.dispose]();
  return findings;
}

const MISSING = "rustc, or its library for wasm32-wasi, is not installed";

describe("what a program does", () => {
  const module = build();

  test.for([
    ["safe", []],
    ["over", ["out-of-bounds in program::codec::Reader<T>::at:5"]],
    ["stale", ["use-after-free in program::codec::Reader<T>::at:5"]],
    ["undefined", ["uninitialised in undefined:30"]],
    ["twice", ["double-free in twice:35"]],
    ["lost", ["leak in lost:36"]],
  ] as const)("%s", ([name, expected], { skip }) => {
    if (module === null) return skip(MISSING);
    expect(found(module, name)).toEqual(expected);
  });
});

test("names of the newer mangling are read, too", ({ skip }) => {
  const module = build("-C", "symbol-mangling-version=v0");
  if (module === null) return skip(MISSING);
  expect(found(module, "over")).toEqual(["out-of-bounds in <program::codec::Reader<i32>>::at:5"]);
});
