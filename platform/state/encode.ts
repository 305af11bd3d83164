// From live objects to a snapshot's bytes: everything that can be reached from the roots, each object once, in an order that
// depends on the state only. What of the library goes by which name is kept.ts; reading it back is decode.ts.

import { ByteWriter } from "./bytes.ts";
import { isEngineMemory } from "./engine-memory.ts";
import { SnapshotError } from "./error.ts";
import { hashBytes } from "./hash.ts";
import { type KeptClass, kept } from "./kept.ts";
import { HASH_BYTES, MAGIC, NODE, VALUE, VERSION, VIEWS } from "./nodes.ts";
import { isSparse } from "./sparse.ts";

export interface EncodeOptions {
  /** What cannot be kept, a stranger's function or object, is left out instead of being refused; using it later fails. Default false. */
  readonly lossy?: boolean;
  /** Leaves out what says something of the host only. Such bytes can be hashed, not restored. Default false. */
  readonly withoutHost?: boolean;
}

class Encoder {
  private readonly writer = new ByteWriter();
  private readonly lossy: boolean;
  private readonly withoutHost: boolean;
  private readonly ids = new Map<object, number>();
  private readonly queue: object[] = [];
  /** Where each object was first met, for messages. */
  private readonly parents: number[] = [];
  private readonly names: string[] = [];
  private readonly texts = new Map<string, number>();
  private readonly shapes = new Map<string, number>();
  private readonly buffers: ArrayBufferLike[] = [];
  private readonly extents = new Map<ArrayBufferLike, [from: number, to: number][]>();
  private current = -1;

  constructor({ lossy = false, withoutHost = false }: EncodeOptions) {
    this.lossy = lossy;
    this.withoutHost = withoutHost;
  }

  encode(roots: readonly object[]): Uint8Array {
    const { writer } = this;
    writer.raw(new TextEncoder().encode(MAGIC));
    writer.count(VERSION);
    writer.count(roots.length);
    for (const root of roots) this.value(root, "root");
    for (this.current = 0; this.current < this.queue.length; this.current++) this.node(this.queue[this.current]);
    for (const buffer of this.buffers) this.contents(buffer);
    const bytes = writer.finish(HASH_BYTES);
    const end = bytes.length - HASH_BYTES;
    bytes.set(new TextEncoder().encode(hashBytes(bytes, end)), end);
    return bytes;
  }

  private path(id: number): string {
    const names: string[] = [];
    for (let at = id; at >= 0; at = this.parents[at]) names.unshift(this.names[at]);
    return names.join(".");
  }

  private refuse(what: string): never {
    throw new SnapshotError(`a snapshot cannot keep ${what} (${this.path(this.current)})`);
  }

  private node(object: object): void {
    const { writer } = this;
    const recipe = kept.recipes.get(object);
    const name = kept.nameOfValue.get(object);
    if (recipe !== undefined) {
      writer.count(NODE.made);
      this.text(recipe.maker);
      this.list(recipe.captured);
    } else if (name !== undefined) {
      writer.count(NODE.value);
      this.text(name);
    } else if (typeof object === "function") this.functionNode(object as () => unknown);
    else if (Array.isArray(object)) this.arrayNode(object);
    else if (ArrayBuffer.isView(object)) this.viewNode(object);
    else if (isSparse(object)) this.bufferNode(object, NODE.sparse);
    else if (object instanceof ArrayBuffer)
      this.bufferNode(object, isEngineMemory(object) ? NODE.engineMemory : NODE.buffer);
    else if (object instanceof Map) {
      writer.count(NODE.map);
      writer.count(object.size);
      for (const [key, value] of object) {
        this.value(key, "key");
        this.value(value, `get(${typeof key === "object" ? "…" : String(key)})`);
      }
    } else if (object instanceof Set) {
      writer.count(NODE.set);
      writer.count(object.size);
      for (const value of object) this.value(value, "has");
    } else this.fieldsNode(object);
  }

  private functionNode(object: () => unknown): void {
    const given = kept.givens.get(object);
    if (given !== undefined) {
      this.writer.count(NODE.given);
      this.text(given.name);
    } else this.lose(`the function ${object.name}`);
  }

  private lose(what: string): void {
    if (!this.lossy) this.refuse(what);
    this.writer.count(NODE.lost);
    this.text(this.path(this.current));
  }

  private arrayNode(array: readonly unknown[]): void {
    this.writer.count(NODE.array);
    this.writer.count(array.length);
    for (let i = 0; i < array.length; i++) {
      if (i in array) this.value(array[i], String(i));
      else this.writer.count(VALUE.hole);
    }
  }

  private list(values: readonly unknown[]): void {
    this.writer.count(values.length);
    for (const [i, value] of values.entries()) this.value(value, String(i));
  }

  private viewNode(view: ArrayBufferView): void {
    const type = VIEWS.findIndex(({ prototype }) => prototype === Object.getPrototypeOf(view));
    if (type < 0 || !(view.buffer instanceof ArrayBuffer || isSparse(view.buffer))) {
      this.lose("a view of this kind");
      return;
    }
    this.writer.count(NODE.view);
    this.writer.count(type);
    this.value(view.buffer, "buffer");
    this.writer.count(view.byteOffset);
    this.writer.count(view.byteLength / (VIEWS[type].BYTES_PER_ELEMENT ?? 1));
  }

  private bufferNode(buffer: ArrayBufferLike, kind: number): void {
    this.writer.count(kind);
    this.writer.count(buffer.byteLength);
    this.buffers.push(buffer);
  }

  private fieldsNode(object: object): void {
    const prototype: unknown = Object.getPrototypeOf(object);
    const known = kept.byPrototype.get(prototype as object);
    if (known === undefined && prototype !== Object.prototype && prototype !== null) {
      this.lose(`an object of class ${(prototype as object).constructor?.name ?? "unknown"}`);
      return;
    }
    if (known?.isOfHost && this.withoutHost) {
      this.writer.count(NODE.ofHost);
      this.text(known.name);
      return;
    }
    known?.settle?.(object);
    const fields = Reflect.ownKeys(object);
    this.shape(object, known ?? null, fields);
    const atRest = known?.atRest?.(object) ?? {};
    for (const field of fields)
      this.value(Object.hasOwn(atRest, field) ? atRest[String(field)] : Reflect.get(object, field), String(field));
    this.annotations(object);
    if (known?.extents !== undefined) this.noteExtents(known, object);
  }

  /** Class, names of the fields, and which of them are hidden: once for all objects that are alike. */
  private shape(object: object, known: KeptClass | null, fields: readonly (string | symbol)[]): void {
    const { writer } = this;
    const kind = known !== null ? NODE.instance : Object.getPrototypeOf(object) === null ? NODE.bare : NODE.plain;
    writer.count(kind);
    const hidden = fields.map((field) => {
      const { enumerable, get, set } = Object.getOwnPropertyDescriptor(object, field) as PropertyDescriptor;
      if (typeof field === "symbol" || get !== undefined || set !== undefined)
        this.refuse(`the field ${String(field)}, which is computed`);
      return !enumerable;
    });
    const key = `${kind} ${known?.name ?? ""} ${fields.map((field, i) => `${String(field)}:${hidden[i]}`).join(" ")}`;
    const index = this.shapes.get(key);
    writer.count(index ?? this.shapes.size);
    if (index !== undefined) return;
    this.shapes.set(key, this.shapes.size);
    if (known !== null) this.text(known.name);
    writer.count(fields.length);
    for (const [i, field] of fields.entries()) {
      this.text(String(field));
      writer.count(hidden[i] ? 1 : 0);
    }
  }

  /** What tables beside the object say of it. */
  private annotations(object: object): void {
    const found = [...kept.tables].filter(([, table]) => table.has(object));
    this.writer.count(found.length);
    for (const [name, table] of found) {
      this.text(name);
      this.value(table.get(object), name);
    }
  }

  private noteExtents(known: KeptClass, object: object): void {
    for (const [view, from, to] of known.extents?.(object) ?? []) {
      const ranges = this.extents.get(view.buffer) ?? [];
      this.extents.set(view.buffer, ranges);
      ranges.push([view.byteOffset + from, view.byteOffset + to]);
    }
  }

  private value(value: unknown, name: string): void {
    const { writer } = this;
    if (value === undefined) writer.count(VALUE.undefined);
    else if (value === null) writer.count(VALUE.null);
    else if (typeof value === "boolean") writer.count(value ? VALUE.true : VALUE.false);
    else if (typeof value === "number") this.numberValue(value);
    else if (typeof value === "string") {
      writer.count(VALUE.text);
      this.text(value);
    } else if (typeof value === "bigint") {
      writer.count(VALUE.bigint);
      this.text(String(value));
    } else if (typeof value === "symbol") this.refuse("a symbol");
    else if (kept.leftOut.has(Object.getPrototypeOf(value) as object)) writer.count(VALUE.null);
    else {
      writer.count(VALUE.object);
      writer.count(this.idOf(value as object, name));
    }
  }

  private numberValue(value: number): void {
    const { writer } = this;
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      writer.count(VALUE.number);
      writer.number(value);
    } else {
      writer.count(value < 0 ? VALUE.negative : VALUE.count);
      writer.count(Math.abs(value));
    }
  }

  /** A text's number; a new one is followed by the text. */
  private text(value: string): void {
    const index = this.texts.get(value);
    this.writer.count(index ?? this.texts.size);
    if (index !== undefined) return;
    this.texts.set(value, this.texts.size);
    this.writer.text(value);
  }

  private idOf(object: object, name: string): number {
    let id = this.ids.get(object);
    if (id === undefined) {
      id = this.queue.length;
      this.ids.set(object, id);
      this.queue.push(object);
      this.parents.push(this.current);
      this.names.push(name);
    }
    return id;
  }

  private contents(buffer: ArrayBufferLike): void {
    const whole = Math.floor(buffer.byteLength / 4);
    const words = new Int32Array(buffer, 0, whole);
    let zeroes = 0;
    let at = 0;
    for (const [from, to] of this.rangesOf(buffer)) {
      const start = Math.max(at, Math.floor(from / 4));
      const end = Math.max(start, Math.min(whole, Math.ceil(to / 4)));
      zeroes = this.writer.words(words, start, end, zeroes + start - at);
      at = end;
    }
    this.writer.count(0);
    this.writer.count(0);
    this.writer.raw(new Uint8Array(buffer, whole * 4));
  }

  private rangesOf(buffer: ArrayBufferLike): [from: number, to: number][] {
    const ranges = this.extents.get(buffer);
    return ranges === undefined ? [[0, buffer.byteLength]] : ranges.sort(([a], [b]) => a - b);
  }
}

/**
 * A snapshot of everything that the roots reach.
 * @throws SnapshotError: a function or object that no file can keep; the message says where it is
 */
export function encode(roots: readonly object[], options: EncodeOptions = {}): Uint8Array {
  return new Encoder(options).encode(roots);
}

/** A hash of everything that the roots reach, but for what says something of the host only: equal for equal states, on every machine. */
export function digest(roots: readonly object[]): string {
  const bytes = encode(roots, { lossy: true, withoutHost: true });
  return String.fromCharCode(...bytes.subarray(bytes.length - HASH_BYTES));
}
