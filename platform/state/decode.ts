// From a snapshot's bytes to live objects. Bytes are not trusted: for any bytes, the answer is a state or a SnapshotError.
// What the bytes mean is nodes.ts, how they are written encode.ts.

import { ByteReader } from "./bytes.ts";
import { ENGINE_MEMORY_LIMIT, makeEngineMemory, toEnginePages } from "./engine-memory.ts";
import { SnapshotError } from "./error.ts";
import { hashBytes } from "./hash.ts";
import { type KeptClass, kept } from "./kept.ts";
import { HASH_BYTES, MAGIC, NODE, VALUE, VERSION, VIEWS } from "./nodes.ts";
import { isSparse, makeSparse } from "./sparse.ts";

type AnyFunction = (...given: never[]) => unknown;

/** Functions of the program, by the names of their places. */
export type GivenFunctions = Readonly<Record<string, AnyFunction | undefined>>;

interface Shape {
  readonly kind: number;
  readonly known: KeptClass | null;
  readonly fields: readonly { readonly name: string; readonly isHidden: boolean }[];
}

interface InstanceShape extends Shape {
  readonly known: KeptClass;
}

/** A reference to an object that may not be there yet. */
class Link {
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }
}
const HOLE = Symbol("hole");

/** What a record says, before the objects are put together. */
interface Node {
  readonly kind: number;
  readonly shape: Shape | null;
  readonly name: string;
  /** Fields, elements, keys and values in turn, what was captured, or a view's buffer. */
  readonly values: readonly unknown[];
  /** Bytes of a buffer; type, offset and length of a view. */
  readonly figures: readonly number[];
  readonly annotations: readonly { readonly table: string; readonly value: unknown }[];
}

const damaged = (what: string): SnapshotError => new SnapshotError(`the snapshot is damaged: ${what}`);

class Decoder {
  private readonly reader: ByteReader;
  private readonly given: GivenFunctions;
  private readonly texts: string[] = [];
  private readonly shapes: Shape[] = [];
  private readonly nodes: Node[] = [];
  private readonly objects: (object | undefined)[] = [];
  private readonly making = new Set<number>();
  private objectCount = 0;

  constructor(reader: ByteReader, given: GivenFunctions) {
    this.reader = reader;
    this.given = given;
  }

  decode(): object[] {
    const count = this.reader.length();
    const roots = Array.from({ length: count }, () => this.value());
    while (this.nodes.length < this.objectCount) this.nodes.push(this.node());
    for (const [id, { kind }] of this.nodes.entries()) if (isBuffer(kind)) this.objectOf(id);
    for (const [id, { kind, figures }] of this.nodes.entries())
      if (isBuffer(kind)) this.contents(this.objects[id] as ArrayBufferLike, figures[0]);
    if (!this.reader.isAtEnd) throw damaged("there is more than it says");
    for (const id of this.nodes.keys()) this.objectOf(id);
    for (const id of this.nodes.keys()) this.fill(id);
    return roots.map((root) => this.resolved(root) as object);
  }

  private node(): Node {
    const { reader } = this;
    const kind = reader.count();
    const record = { kind, shape: null, name: "", values: [], figures: [], annotations: [] };
    if (kind <= NODE.bare) return this.fieldsNode(kind, record);
    if (kind === NODE.array || kind === NODE.set) return { ...record, values: this.values(reader.length()) };
    if (kind === NODE.map) return { ...record, values: this.values(reader.length() * 2) };
    if (isBuffer(kind)) return { ...record, figures: [reader.count()] };
    if (kind === NODE.view) {
      const type = reader.count();
      const values = this.values(1);
      return { ...record, values, figures: [type, reader.count(), reader.count()] };
    }
    if (kind === NODE.made) return { ...record, name: this.text(), values: this.values(reader.length()) };
    if (kind === NODE.value || kind === NODE.given || kind === NODE.lost) return { ...record, name: this.text() };
    throw damaged(`there is no object of kind ${kind}`);
  }

  private fieldsNode(kind: number, record: Node): Node {
    const index = this.reader.count();
    if (index > this.shapes.length) throw damaged("an unknown shape");
    if (index === this.shapes.length) this.shapes.push(this.shape(kind));
    const shape = this.shapes[index];
    if (shape.kind !== kind) throw damaged("a shape of another kind");
    const values = this.values(shape.fields.length);
    const annotations = Array.from({ length: this.reader.length() }, () => ({
      table: this.text(),
      value: this.value(),
    }));
    return { ...record, shape, values, annotations };
  }

  private shape(kind: number): Shape {
    let known: KeptClass | null = null;
    if (kind === NODE.instance) {
      const name = this.text();
      known = kept.classes.get(name) ?? null;
      if (known === null) throw new SnapshotError(`the snapshot has a ${name}, which this version does not know`);
    }
    const fields = Array.from({ length: this.reader.length() }, () => ({
      name: this.text(),
      isHidden: this.reader.count() === 1,
    }));
    return { kind, known, fields };
  }

  private values(count: number): unknown[] {
    const values: unknown[] = [];
    for (let i = 0; i < count; i++) values.push(this.value());
    return values;
  }

  private value(): unknown {
    const { reader } = this;
    const kind = reader.count();
    switch (kind) {
      case VALUE.undefined:
        return undefined;
      case VALUE.null:
        return null;
      case VALUE.false:
        return false;
      case VALUE.true:
        return true;
      case VALUE.count:
        return reader.count();
      case VALUE.negative:
        return -reader.count();
      case VALUE.number:
        return reader.number();
      case VALUE.text:
        return this.text();
      case VALUE.object:
        return this.link();
      case VALUE.bigint:
        return this.bigint();
      case VALUE.hole:
        return HOLE;
      default:
        throw damaged(`there is no value of kind ${kind}`);
    }
  }

  private bigint(): bigint {
    const text = this.text();
    if (!/^-?\d+$/.test(text)) throw damaged("a whole number is not written as one");
    return BigInt(text);
  }

  /** Objects are numbered as they are first named: the next new one, or one from before. */
  private link(): Link {
    const id = this.reader.count();
    if (id > this.objectCount) throw damaged("an object that is described nowhere");
    if (id === this.objectCount) this.objectCount++;
    return new Link(id);
  }

  private text(): string {
    const index = this.reader.count();
    if (index > this.texts.length) throw damaged("an unknown text");
    if (index === this.texts.length) this.texts.push(this.reader.text());
    return this.texts[index];
  }

  private contents(buffer: ArrayBufferLike, bytes: number): void {
    const whole = Math.floor(bytes / 4) * 4;
    this.reader.words(new Uint8Array(buffer, 0, whole));
    new Uint8Array(buffer, whole).set(this.reader.raw(bytes - whole));
  }

  /** The object of a number, without its fields at first. */
  private objectOf(id: number): object {
    const there = this.objects[id];
    if (there !== undefined) return there;
    // What is made from others comes after them; none can be made from itself.
    if (this.making.has(id)) throw damaged("an object is made from itself");
    this.making.add(id);
    const made = this.make(this.nodes[id]);
    this.objects[id] = made;
    this.making.delete(id);
    return made;
  }

  private make({ kind, shape, name, values, figures }: Node): object {
    switch (kind) {
      case NODE.instance:
        return Object.create((shape as InstanceShape).known.prototype) as object;
      case NODE.plain:
        return {};
      case NODE.bare:
        return Object.create(null) as object;
      case NODE.array:
        return [];
      case NODE.map:
        return new Map();
      case NODE.set:
        return new Set();
      case NODE.buffer:
        return hostRefusal(() => new ArrayBuffer(figures[0]));
      case NODE.engineMemory:
        return this.makeEngineMemory(figures[0]);
      case NODE.sparse:
        return hostRefusal(() => makeSparse(figures[0]));
      case NODE.view:
        return this.makeView(values[0], figures);
      case NODE.value:
        return known(kept.values, name, "a value");
      case NODE.given:
        return this.makeGiven(name);
      case NODE.lost:
        return lost(name);
      default:
        return this.makeMade(name, values);
    }
  }

  private makeEngineMemory(bytes: number): ArrayBuffer {
    if (bytes > ENGINE_MEMORY_LIMIT || toEnginePages(bytes) !== bytes) throw damaged("a memory that no engine has");
    return hostRefusal(() => makeEngineMemory(bytes));
  }

  private makeMade(name: string, captured: readonly unknown[]): object {
    const make = known(kept.makers, name, "a maker");
    const from = captured.map((value) => this.resolved(value));
    const made = make(...(from as never[]));
    kept.recipes.set(made, { maker: name, captured: from });
    return made;
  }

  private makeGiven(name: string): object {
    const substitute = known(kept.substitutes, name, "a place");
    // A function of its own even if nothing is given: the next snapshot names the same place.
    const given = this.given[name] ?? ((...values: never[]) => substitute(...values));
    kept.givens.set(given, { name, substitute });
    return given;
  }

  private makeView(value: unknown, [type, offset, length]: readonly number[]): object {
    const buffer = this.resolved(value);
    const View = VIEWS[type];
    if (View === undefined || !(buffer instanceof ArrayBuffer || isSparse(buffer))) throw damaged("a view of nothing");
    return hostRefusal(() => new View(buffer, offset, length));
  }

  private resolved(value: unknown): unknown {
    return value instanceof Link ? this.objectOf(value.id) : value;
  }

  private fill(id: number): void {
    const { kind, shape, values, annotations } = this.nodes[id];
    const object = this.objects[id] as object;
    if (shape !== null) {
      for (const [i, { name, isHidden }] of shape.fields.entries()) {
        const value = this.resolved(values[i]);
        Object.defineProperty(object, name, { value, enumerable: !isHidden, writable: true, configurable: true });
      }
    } else if (kind === NODE.array) {
      const array = object as unknown[];
      for (const value of values)
        if (value === HOLE) array.length++;
        else array.push(this.resolved(value));
    } else if (kind === NODE.set) for (const value of values) (object as Set<unknown>).add(this.resolved(value));
    else if (kind === NODE.map) {
      for (let i = 0; i < values.length; i += 2)
        (object as Map<unknown, unknown>).set(this.resolved(values[i]), this.resolved(values[i + 1]));
    }
    for (const { table, value } of annotations) known(kept.tables, table, "a table").set(object, this.resolved(value));
  }
}

function known<Value>(names: ReadonlyMap<string, Value>, name: string, what: string): Value {
  const value = names.get(name);
  if (value === undefined)
    throw new SnapshotError(`the snapshot names ${what} that this version does not know: ${name}`);
  return value;
}

/** What could not be kept: there, so that all else can be looked at, but of no use. */
function lost(name: string): AnyFunction {
  return () => {
    throw new SnapshotError(`${name} was left out of the snapshot`);
  };
}

function isBuffer(kind: number): boolean {
  return kind === NODE.buffer || kind === NODE.sparse || kind === NODE.engineMemory;
}

function hostRefusal<Value>(make: () => Value): Value {
  try {
    return make();
  } catch (error) {
    if (error instanceof RangeError) throw damaged(error.message);
    throw error;
  }
}

/**
 * The roots of a snapshot, and all that they reach, as new objects.
 * @param given functions of the program by the names of their places ("kernel.clock"); others do what the library does without one
 * @throws SnapshotError: damaged, of another version, or no snapshot
 */
export function decode(bytes: Uint8Array, given: GivenFunctions = {}): object[] {
  const magic = new TextEncoder().encode(MAGIC);
  if (bytes.length < magic.length || magic.some((byte, i) => bytes[i] !== byte))
    throw new SnapshotError("this is no snapshot of refheap");
  const end = bytes.length - HASH_BYTES;
  const reader = new ByteReader(bytes, magic.length, Math.max(magic.length, end));
  const version = reader.count();
  if (version !== VERSION) throw new SnapshotError(`the snapshot is of version ${version}; this is version ${VERSION}`);
  const hash = String.fromCharCode(...bytes.subarray(Math.max(0, end)));
  if (hashBytes(bytes, end) !== hash) throw damaged("its hash is another");
  try {
    return new Decoder(reader, given).decode();
  } catch (error) {
    if (error instanceof SnapshotError) throw error;
    // Bytes that are no state can make an object that its own code refuses.
    throw damaged(error instanceof Error ? error.message : String(error));
  }
}
