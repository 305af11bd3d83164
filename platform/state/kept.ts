// Who is who in a snapshot: classes, functions and values of the library by names that stay, in the place of what the host calls them.
// Each file names its own, beside where it declares them. Writing a state is encode.ts, reading one decode.ts.

import { makeBeside } from "./beside.ts";

/** Bytes of a view's buffer outside which all bytes of that buffer are zero, so that nothing has to look at them. */
export type Extent = readonly [view: ArrayBufferView, fromByte: number, toByte: number];

export interface KeptClass<Instance extends object = object> {
  readonly name: string;
  readonly prototype: object;
  /** Brings an object into a form that can be kept, without changing what it does. */
  readonly settle?: (object: Instance) => void;
  /** Where large arrays can be other than zero. */
  readonly extents?: (object: Instance) => Iterable<Extent>;
  /** Fields that are what they are only during a call, and what they are otherwise: a state is kept as if no call were going on. */
  readonly atRest?: (object: Instance) => Readonly<Record<string, unknown>>;
  /** Whether the contents say something of the host only (its files, its time): they are kept, but not part of a digest. */
  readonly isOfHost?: boolean;
}

type AnyFunction = (...given: never[]) => unknown;

/** How something that cannot be kept by its fields, a closure for one, is made again: by whom, and from what. */
export interface Recipe {
  readonly maker: string;
  readonly captured: readonly unknown[];
}

/** A function that the program gave to the library, and what stands for it where the program does not give it again. */
export interface Given {
  readonly name: string;
  readonly substitute: AnyFunction;
}

const classes = new Map<string, KeptClass>();
const byPrototype = new Map<object, KeptClass>();
const makers = new Map<string, (...captured: never[]) => object>();
const recipes = makeBeside<object, Recipe>();
const values = new Map<string, object>();
const nameOfValue = new Map<object, string>();
const tables = new Map<string, WeakMap<object, unknown>>();
const givens = new WeakMap<object, Given>();
const substitutes = new Map<string, AnyFunction>();

function claim(names: Map<string, unknown>, name: string): void {
  if (names.has(name)) throw new Error(`two parts of the library are named "${name}" in snapshots`);
}

const leftOut = new Set<object>();

/** Objects of this class are not kept: null is, in their place, and the library makes them anew when it needs them. */
export function leaveOut(type: { readonly prototype: object }): void {
  leftOut.add(type.prototype);
}

/** Objects of this class are kept by their fields. */
export function keepClass<Instance extends object>(
  name: string,
  type: { readonly prototype: Instance },
  how: Omit<KeptClass<Instance>, "name" | "prototype"> = {},
): void {
  claim(classes, name);
  const kept = { name, prototype: type.prototype, ...how } as KeptClass;
  classes.set(name, kept);
  byPrototype.set(kept.prototype, kept);
}

/**
 * What `make` returns can be kept: as this name and what was captured. `make` is called again when a snapshot is restored, before
 * the captured objects have their fields; so it may only hand them on.
 */
export function keepMaker<Captured extends readonly unknown[], Made extends object>(
  name: string,
  make: (...captured: Captured) => Made,
): (...captured: Captured) => Made {
  const keep = keepAs(name, make);
  return (...captured) => {
    const made = make(...captured);
    keep(made, ...captured);
    return made;
  };
}

/** As {@link keepMaker}, for what makes itself known: the answer is to be called with each object and what it was made from. */
export function keepAs<Captured extends readonly unknown[], Made extends object>(
  name: string,
  make: (...captured: Captured) => Made,
): (made: Made, ...captured: Captured) => void {
  claim(makers, name);
  makers.set(name, make as unknown as (...captured: never[]) => object);
  return (made, ...captured) => {
    recipes.set(made, { maker: name, captured });
  };
}

/** A value that there is once in the library: kept as its name. */
export function keepValue<Value extends object>(name: string, value: Value): Value {
  claim(values, name);
  values.set(name, value);
  nameOfValue.set(value, name);
  return value;
}

/** What this table says of an object is kept with the object. */
export function keepTable<Key extends object, Value>(name: string, table: WeakMap<Key, Value>): WeakMap<Key, Value> {
  claim(tables, name);
  tables.set(name, table as unknown as WeakMap<object, unknown>);
  return table;
}

/** A place for functions of the program: what does instead of one that is not given again. */
export function keepPlaceOfGiven<Given extends AnyFunction>(name: string, substitute: Given): (given: Given) => Given {
  claim(substitutes, name);
  substitutes.set(name, substitute);
  return (given) => {
    if (!nameOfValue.has(given)) givens.set(given, { name, substitute });
    return given;
  };
}

export const kept = {
  classes,
  byPrototype,
  makers,
  recipes,
  values,
  nameOfValue,
  tables,
  givens,
  substitutes,
  leftOut,
};
