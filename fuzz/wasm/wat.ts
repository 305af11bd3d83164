// Modules for the tests, from their text form, by the wabt package. Names are kept in a name section.
import createWabt from "wabt";

const wabt = await createWabt();

const FEATURES = {
  sign_extension: true,
  sat_float_to_int: true,
  bulk_memory: true,
  multi_value: true,
  reference_types: true,
  simd: true,
  tail_call: true,
  mutable_globals: true,
};

/** @param features more that the text may use, such as `threads` */
export function wat(text: string, features: Record<string, boolean> = {}): Uint8Array<ArrayBuffer> {
  const module = wabt.parseWat("test.wat", text, { ...FEATURES, ...features });
  try {
    return new Uint8Array(module.toBinary({ write_debug_names: true }).buffer);
  } finally {
    module.destroy();
  }
}
