// From WebAssembly's text format to bytes, by the wabt package with all the proposals that it reads.
import createWabt from "wabt";

const wabt = await createWabt();

const FEATURES = {
  exceptions: true,
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  threads: true,
  function_references: true,
  multi_value: true,
  tail_call: true,
  bulk_memory: true,
  reference_types: true,
  annotations: true,
  gc: true,
  memory64: true,
  multi_memory: true,
  extended_const: true,
  relaxed_simd: true,
};

/** The package does not read this text: it is wrong, or of a later proposal. */
export class NotAssembled extends Error {
  override readonly name = "NotAssembled";
}

/** @throws NotAssembled */
export function assemble(text: string): Uint8Array<ArrayBuffer> {
  try {
    const module = wabt.parseWat("script.wast", text, FEATURES);
    try {
      return new Uint8Array(module.toBinary({ write_debug_names: true }).buffer);
    } finally {
      module.destroy();
    }
  } catch (error) {
    throw new NotAssembled(error instanceof Error ? error.message : String(error));
  }
}
