;; Data segments are stored one by one, behind the tables' elements, where the guest's memory still is.
(module $store
  (global (export "base") i32 (i32.const 65530))
  (memory (export "memory") 1)
  (table (export "table") 4 funcref)
  (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))
(register "store" $store)

;; At an address that a global has.
(module
  (import "store" "base" (global $base i32))
  (import "store" "memory" (memory 1))
  (data (global.get $base) "abc"))
(assert_return (invoke $store "byte" (i32.const 65532)) (i32.const 0x63))

;; What comes before the segment that does not fit was stored.
(assert_trap
  (module
    (import "store" "base" (global $base i32))
    (import "store" "memory" (memory 1))
    (import "store" "table" (table 4 funcref))
    (elem (i32.const 1) $seven)
    (func $seven (result i32) (i32.const 7))
    (data (i32.const 16) "x")
    (data (global.get $base) "too long")
    (data (i32.const 17) "y"))
  "out of bounds memory access")
(assert_return (invoke $store "byte" (i32.const 16)) (i32.const 0x78))
(assert_return (invoke $store "byte" (i32.const 17)) (i32.const 0))
(assert_return (invoke $store "byte" (i32.const 65530)) (i32.const 0x61))
(assert_return (invoke $store "call" (i32.const 1)) (i32.const 7))
(assert_trap (invoke $store "call" (i32.const 2)) "uninitialized element")

;; An element beyond the table's end comes first.
(assert_trap
  (module
    (import "store" "memory" (memory 1))
    (import "store" "table" (table 4 funcref))
    (func $f)
    (elem (i32.const 4) $f)
    (data (i32.const 18) "z"))
  "out of bounds table access")
(assert_return (invoke $store "byte" (i32.const 18)) (i32.const 0))

;; An active segment is dropped when it was stored, a passive one is there until it is.
(module
  (memory (export "memory") 1)
  (data $active (i32.const 0) "one")
  (data $passive "two")
  (func (export "active") (param i32) (memory.init $active (i32.const 8) (i32.const 0) (local.get 0)))
  (func (export "passive") (memory.init $passive (i32.const 8) (i32.const 0) (i32.const 3)))
  (func (export "drop") (data.drop $passive))
  (func (export "word") (param i32) (result i32) (i32.load (local.get 0))))
(assert_return (invoke "word" (i32.const 0)) (i32.const 0x656e6f))
(assert_return (invoke "active" (i32.const 0)))
(assert_trap (invoke "active" (i32.const 1)) "out of bounds memory access")
(invoke "passive")
(assert_return (invoke "word" (i32.const 8)) (i32.const 0x6f7774))
(invoke "drop")
(assert_trap (invoke "passive") "out of bounds memory access")

;; A segment of nothing must lie inside as well.
(assert_trap (module (memory 1) (data (i32.const 65537) "")) "out of bounds memory access")
(module (memory 1) (data (i32.const 65536) ""))
