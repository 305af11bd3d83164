// Small modules with every section and most kinds of instructions, for mutated.ts to damage.
import { wat } from "./wat.ts";

const texts = [
  `(module (memory (export "memory") 1 4) (data (i32.const 8) "abc")
     (func (export "f") (param i32) (result i32) (i32.add (i32.load (local.get 0)) (i32.const 7))))`,
  `(module (type $t (func (param i32) (result i32))) (memory 1) (table 2 funcref) (elem (i32.const 0) $a $b) (global $g (mut i32) (i32.const 65536))
     (func $a (type $t) (i32.mul (local.get 0) (i32.const 3)))
     (func $b (type $t) (local i64 f32) (global.set $g (i32.sub (global.get $g) (i32.const 16)))
       (i64.store offset=4 (global.get $g) (i64.const -5)) (local.set 2 (f32.const 1.5)) (f32.store (global.get $g) (local.get 2)) (i32.load8_s offset=4 (global.get $g)))
     (func (export "f") (param i32) (result i32) (call_indirect (type $t) (local.get 0) (i32.and (local.get 0) (i32.const 1)))))`,
  `(module (memory (export "memory") 2) (func $malloc (export "malloc") (param i32) (result i32) (i32.const 4096))
     (func $free (export "free") (param i32)) (func (export "f") (param i32) (result i32) (local i32)
       (local.set 1 (call $malloc (i32.const 100))) (i32.store (local.get 1) (local.get 0))
       (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1)) (else (i32.load16_u (local.get 1))))))`,
  `(module (memory (export "memory") 1) (data $d "passive bytes") (func (export "f") (param i32) (result i32) (local i32)
     (memory.init $d (i32.const 100) (i32.const 0) (i32.const 7)) (memory.copy (i32.const 200) (i32.const 100) (i32.const 7)) (memory.fill (i32.const 300) (i32.const 1) (i32.const 9))
     (block $out (loop $again (local.set 1 (i32.add (local.get 1) (i32.load8_u (local.get 1)))) (br_if $out (i32.gt_u (local.get 1) (i32.const 400)))
       (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br $again))) (br_table 0 0 0 (local.get 1) (local.get 0))))`,
  `(module (memory 1) (func (export "f") (param i32) (result i32)
     (i32x4.extract_lane 1 (i32x4.add (v128.load (i32.const 16)) (i8x16.splat (local.get 0))))))`,
];

export const seedModules: readonly Uint8Array[] = texts.map((text) => wat(text));
