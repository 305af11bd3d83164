// Whether a program may do the direct ways of malloc and free by itself, on the running thread's cache, without a call of the heap.
// What those ways are is direct-paths.ts; the program that does so is a WebAssembly module (wasm/rewriting/direct-ways.ts).

import { isEngineMemory } from "../../platform/state/engine-memory.ts";
import { keepClass } from "../../platform/state/kept.ts";

/** In the word: closed. */
const CLOSED = 1;

/**
 * A word that is odd while the program must ask. Each change of what the direct ways go by closes the gate; the program's library
 * opens it at the next call that comes to it, when it has seen that all is as it was.
 */
export class DirectGate {
  /** One word. It may lie where the program's own code sees it. */
  private word: Int32Array = Int32Array.of(CLOSED);

  get isOpen(): boolean {
    return (this.word[0] & CLOSED) === 0;
  }

  /** Keeps the word there from now on. */
  moveTo(word: Int32Array): void {
    word[0] = this.word[0];
    this.word = word;
  }

  get isInEngineMemory(): boolean {
    return isEngineMemory(this.word.buffer);
  }

  close(): void {
    this.word[0] = CLOSED;
  }

  /** @param key an even number that the program finds in the word */
  open(key = 0): void {
    this.word[0] = key;
  }
}

keepClass("DirectGate", DirectGate, {
  // The compiled ways of a heap are not kept (combined.ts), and so their gate is closed.
  atRest: (gate) => (gate.isInEngineMemory ? { word: Int32Array.of(CLOSED) } : {}),
});
