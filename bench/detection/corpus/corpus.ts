// All programs of the corpus, in the order of the table.
import { buffers } from "./buffers.ts";
import { lifetimes } from "./lifetimes.ts";
import { misuse } from "./misuse.ts";
import type { CorpusProgram } from "./program.ts";
import { strings } from "./strings.ts";
import { structs } from "./structs.ts";

export const corpus: readonly CorpusProgram[] = [...structs, ...buffers, ...strings, ...lifetimes, ...misuse];
