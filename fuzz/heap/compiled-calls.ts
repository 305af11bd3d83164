// Counts what compiled code did for heaps: calls of functions that the engine made of the library's own modules, and that did not give up.
// By the functions alone, under any name: the heaps' parts are not asked.
import { type EngineInstance, type EngineModule, engine, type Imports } from "../../platform/host/engine.ts";

type Call = (...given: number[]) => number;

/**
 * Runs `work`, which may ask for the count until then.
 * @returns how often compiled code did what it was asked to, of heaps that got it in the meantime
 */
export function countCompiledCalls(work: (soFar: () => number) => void): number {
  const settable = engine as { Instance: typeof engine.Instance };
  const { Instance } = engine;
  let count = 0;
  const counted =
    (call: Call): Call =>
    (...given) => {
      const answer = call(...given);
      if (answer !== 0) count++;
      return answer;
    };
  settable.Instance = function make(module: EngineModule, imports?: Imports): EngineInstance {
    const { exports } = new Instance(module, imports);
    return {
      exports: Object.fromEntries(
        Object.entries(exports).map(([name, value]) => [
          name,
          typeof value === "function" ? counted(value as Call) : value,
        ]),
      ),
    };
  } as unknown as typeof engine.Instance;
  try {
    work(() => count);
  } finally {
    settable.Instance = Instance;
  }
  return count;
}
