// How large objects print and compare: as a line, and as themselves. A machine holds gigabytes, and whoever prints or compares
// something that holds one (a failed assertion's diff, a logger, JSON) must get an answer, and soon.

/** util.inspect's and console.log's way to ask, and that of most test runners. */
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

const ids = new WeakMap<object, number>();
let lastId = 0;

/** A number of its own for each object, given when it is first asked for. */
function idOf(object: object): number {
  let id = ids.get(object);
  if (id === undefined) {
    id = ++lastId;
    ids.set(object, id);
  }
  return id;
}

type Inspect = (value: unknown, options?: unknown) => string;

/**
 * Gives the objects of a class an outline in the place of their contents. Two of them are equal only if they are the same one:
 * their tags (Object.prototype.toString) differ, and all that compare by value look at those first. Costs an object nothing.
 * @param describe the few figures that are printed
 */
export function outline<Instance extends object>(
  type: abstract new (...given: never[]) => Instance,
  describe: (object: Instance) => object,
): void {
  const { name, prototype } = type;
  const figures = (object: Instance): object => ({ id: idOf(object), ...describe(object) });
  Object.defineProperty(prototype, Symbol.toStringTag, {
    configurable: true,
    get(this: Instance): string {
      return `${name} ${idOf(this)}`;
    },
  });
  const methods = {
    toJSON(this: Instance): object {
      return { [name]: figures(this) };
    },
    [INSPECT](this: Instance, _depth: number, options: object, inspect?: Inspect): string {
      const text = inspect === undefined ? JSON.stringify(figures(this)) : inspect(figures(this), options);
      return `${name} ${text}`;
    },
  };
  for (const key of Reflect.ownKeys(methods)) {
    if (Object.hasOwn(prototype, key)) continue;
    Object.defineProperty(prototype, key, { configurable: true, writable: true, value: Reflect.get(methods, key) });
  }
}

const HIDDEN = { enumerable: false };

/**
 * Hides an object's fields from those that walk over fields without asking for an outline, as a test runner does when two objects
 * differ but their texts do not. For objects that are made seldom. Fields are as fast as before.
 */
export function hideFields(object: object): void {
  for (const name of Object.keys(object)) Object.defineProperty(object, name, HIDDEN);
}

/** Hides the arrays and the other objects among an object's fields, for what is made more often: it takes some microseconds. */
export function hideLinks<Whole extends object>(object: Whole): Whole {
  for (const name of Object.keys(object)) {
    // null, too: an object may come to be there later.
    if (typeof object[name as keyof Whole] === "object") Object.defineProperty(object, name, HIDDEN);
  }
  return object;
}
