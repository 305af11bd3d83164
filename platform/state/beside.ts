// Values beside objects, in a private field of the objects' own. A WeakMap would do the same, but a collection of young
// objects takes a map's values for reachable: an ended heap that a map leads to would outlive it, and burden those that follow.

/** Answers its argument in the place of a new object, so that a class derived from it puts its fields there. */
const Given: new (object: object) => object = class {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: the fields of the derived class are to be the object's.
    return object;
  }
};

/**
 * A value for each of some objects, as a WeakMap has it, but for `delete`. An object with a value has another shape for the engine than
 * one without: for objects that all have one, or that no fast code looks into.
 */
export interface Beside<Key extends object, Value> {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): unknown;
}

export function makeBeside<Key extends object, Value>(): Beside<Key, Value> {
  class Field extends Given {
    #value: Value;

    constructor(key: Key, value: Value) {
      super(key);
      this.#value = value;
    }

    static get(key: Key): Value | undefined {
      return #value in key ? key.#value : undefined;
    }

    static set(key: Key, value: Value): void {
      if (#value in key) key.#value = value;
      else new Field(key, value);
    }
  }
  return Field;
}
