// Finds the examples of a Markdown document: each `ts` block that a `text` block with its output follows.

export interface Example {
  /** The document and the example's number in it, fit for a file name. */
  readonly name: string;
  readonly code: string;
  readonly output: string;
}

export function readExamples(document: string, markdown: string): Example[] {
  const pair = /^```ts\n((?:(?!```).*\n)*)```\n\s*(?:[^\n`]{1,80}\n\s*)?```text\n((?:(?!```).*\n)*)```$/gm;
  return [...markdown.matchAll(pair)].map(([, code, output], i) => ({
    name: `${document.replace(/\.md$/, "").replace(/[^A-Za-z0-9]+/g, "-")}-${i + 1}`,
    // A module of its own, also where the example declares nothing.
    code: `${code}export {};\n`,
    output,
  }));
}
