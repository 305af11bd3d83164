// All drawn mutants of a file in one text, each behind a question: `($m.reach(7) ? mutated : original)`. So one run of a test, whose code
// is loaded already, tries many mutants in turn. Loops get a guard, so that one without an end is noticed. The questions' answers: runner.mjs.
import { childrenOf, isOfTypes, parse } from "./operators.mjs";

const LOOPS = new Set(["ForStatement", "ForOfStatement", "ForInStatement", "WhileStatement", "DoWhileStatement"]);
const GUARD = "if (--$m.fuel < 0) $m.out();";

/** Texts to put at places: [place, order, text]. What encloses more opens before, and closes behind, what it encloses. */
function guards(node, found) {
  if (isOfTypes(node)) return found;
  if (LOOPS.has(node.type)) {
    const { body } = node;
    if (body.type === "BlockStatement") found.push({ at: body.start + 1, order: 0, text: ` ${GUARD}` });
    else found.push({ at: body.start, order: -1e9, text: `{ ${GUARD} ` }, { at: body.end, order: 1e9, text: " }" });
  }
  for (const child of childrenOf(node)) guards(child, found);
  return found;
}

function questions(mutants) {
  return mutants.flatMap(({ id, start, end, text }) => {
    const length = end - start;
    // In brackets: an `else` behind it belongs to the `if` in front of it.
    if (text === null)
      return [
        { at: start, order: -length - 0.5, text: `{ if (!$m.reach(${id})) ` },
        { at: end, order: length + 0.5, text: " }" },
      ];
    return [
      { at: start, order: -length, text: `($m.reach(${id}) ? (${text}) : (` },
      { at: end, order: length, text: "))" },
    ];
  });
}

/** The file's text with these mutants in it: { id, start, end, text }, no two of the same place. */
export function withMutants(source, mutants) {
  const insertions = [...guards(parse(source), []), ...questions(mutants)];
  // At one place closings come first, the inner ones before the outer; then openings, the outer ones before the inner.
  const isClosing = ({ text }) => text === "))" || text === " }";
  insertions.sort((a, b) => a.at - b.at || isClosing(b) - isClosing(a) || a.order - b.order);
  let made = "const $m = globalThis.$mutation; ";
  let from = 0;
  for (const { at, text } of insertions) {
    made += source.slice(from, at) + text;
    from = at;
  }
  return made + source.slice(from);
}
