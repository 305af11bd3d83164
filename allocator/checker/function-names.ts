// Functions' names as stacks have them and as linkers know them: a suppression may be written with either. For all checkers together:
// what one keeps is part of a snapshot, which has no functions.

/** Who makes linkers' names readable. */
export interface NameReader {
  /** How a name reads in stacks; one that no linker made is as it is. */
  readable(name: string): string;
  /** The names, as linkers know them, that were read so in a stack. */
  linked(readable: string): readonly string[];
}

let reader: NameReader = { readable: (name) => name, linked: () => [] };

/** From now on suppressions may name functions as linkers know them. */
export function readNamesWith(given: NameReader): void {
  reader = given;
}

export function readableName(name: string): string {
  return reader.readable(name);
}

export function linkedNames(readable: string): readonly string[] {
  return reader.linked(readable);
}
