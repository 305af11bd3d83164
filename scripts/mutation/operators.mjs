// The changes that a mutant may make to one line of TypeScript: small ones, of the kind that a slip of the hand makes.
// Which lines, and what tests say to it, is mutate.mjs.

/** Each: name, and what it makes of a line; null where it has nothing to change. `pick` chooses among several places. */
const replacements = [
  [
    "relation",
    [
      [/ < /g, " <= "],
      [/ <= /g, " < "],
      [/ > /g, " >= "],
      [/ >= /g, " > "],
    ],
  ],
  [
    "equality",
    [
      [/ === /g, " !== "],
      [/ !== /g, " === "],
    ],
  ],
  [
    "logic",
    [
      [/ && /g, " || "],
      [/ \|\| /g, " && "],
    ],
  ],
  [
    "sum",
    [
      [/ \+ /g, " - "],
      [/ - /g, " + "],
      [/ \+= /g, " -= "],
      [/ -= /g, " += "],
    ],
  ],
  [
    "step",
    [
      [/\+\+/g, "--"],
      [/--(?!>)/g, "++"],
    ],
  ],
  [
    "bits",
    [
      [/ & /g, " | "],
      [/ \| (?!null|undefined|[A-Z"'])/g, " & "],
      [/ << /g, " >> "],
      [/ >>> /g, " << "],
    ],
  ],
  [
    "negation",
    [
      [/\(!(?=[\w(])/g, "("],
      [/ !(?=[\w(])/g, " "],
    ],
  ],
  [
    "rounding",
    [
      [/Math\.floor/g, "Math.ceil"],
      [/Math\.ceil/g, "Math.floor"],
      [/Math\.min/g, "Math.max"],
      [/Math\.max/g, "Math.min"],
    ],
  ],
  [
    "truth",
    [
      [/\btrue\b/g, "false"],
      [/\bfalse\b/g, "true"],
    ],
  ],
];

const STATEMENT =
  /^\s*(?:(?:this|[a-z]\w*)(?:[.[][^=;]*)?(?: [+\-|&]?= | ?\+\+|--|\()|(?:return|throw)\b|if \(.*\) (?:return|continue|break|throw)\b).*;$/;

/** Lines that are no behaviour: comments, imports, types, declarations, texts of errors. */
export function isBehaviour(line) {
  const text = line.trim();
  if (
    text === "" ||
    /^(?:\/\/|\/?\*|import |export (?:type|interface|\*|\{)|type |interface |readonly |private readonly |@|keep[A-Z]|outline\(|hideFields)/.test(
      text,
    )
  )
    return false;
  return !/^\w+\??: [\w<>[\] |()=>,]+;$/.test(text);
}

/** All mutants of a line, without its texts and comments being touched. */
export function mutantsOf(line) {
  const found = [];
  for (const [name, pairs] of replacements) {
    for (const [pattern, replacement] of pairs) {
      for (const match of line.matchAll(pattern)) {
        if (isInText(line, match.index)) continue;
        found.push({
          name,
          line: line.slice(0, match.index) + replacement + line.slice(match.index + match[0].length),
        });
      }
    }
  }
  for (const match of line.matchAll(/(?<![\w.$#])(\d+)(?![\w.])/g)) {
    if (!isInText(line, match.index))
      found.push({
        name: "constant",
        line: `${line.slice(0, match.index)}${Number(match[1]) + 1}${line.slice(match.index + match[1].length)}`,
      });
  }
  if (STATEMENT.test(line) && !/^\s*return;/.test(line))
    found.push({ name: "removal", line: `${/^\s*/.exec(line)[0]};` });
  return found;
}

/** Whether a place lies in a text, a regular expression's or a comment. */
function isInText(line, index) {
  const before = line.slice(0, index).replaceAll(/\\./g, "");
  if (/(?:^|\s)\/\//.test(before) || /^\s*\/?\*/.test(line)) return true;
  const template = (before.match(/`/g) ?? []).length % 2 === 1 && before.lastIndexOf("${") <= before.lastIndexOf("}");
  return (before.match(/"/g) ?? []).length % 2 === 1 || template;
}
