// What is compared: policies as data, by name or by name and changes (`pattern-refpage+quarantineKb=256`).
// How a policy becomes a heap on a kernel is in heap-subject.ts.

import { configs, type SecondaryCacheConfig } from "../../../allocator/options/config.ts";
import {
  android32SizeClassMap,
  androidSizeClassMap,
  defaultSizeClassMap,
  fuchsiaSizeClassMap,
  svelteSizeClassMap,
  trustySizeClassMap,
} from "../../../allocator/options/size-class-map.ts";
import { HUGE_REFERENCE_PAGES, type HugeReferencePages } from "../../../refpage/huge.ts";
import { isEmulated, PAGE_KINDS, type PageKind } from "./larger-pages.ts";

/** Scudo's size-class maps by name. */
export const SIZE_CLASS_MAPS = {
  default: defaultSizeClassMap,
  android: androidSizeClassMap,
  android32: android32SizeClassMap,
  fuchsia: fuchsiaSizeClassMap,
  svelte: svelteSizeClassMap,
  trusty: trustySizeClassMap,
} as const;
export type SizeClassMapName = keyof typeof SIZE_CLASS_MAPS;

/** A policy that is a module of the user's (own-policy.ts): its file as it was named, and what it says of itself. */
export interface OwnPolicyName {
  readonly file: string;
  readonly what: string;
}

/** Everything that a replay can vary about memory. All fields are set but `own`; `policies` below are the named ones. */
export interface Policy {
  /** As the user asked for it. */
  readonly name: string;
  /** Whose heap it is: Scudo's, or the model of glibc's, which takes no other field. */
  readonly allocator: "scudo" | "glibc";
  /** What fresh memory reads. */
  readonly fill: "none" | "zero" | "pattern";
  /**
   * How large chunks (those of the secondary) get their fill. `memset`: the heap writes them. `refpage`: a mapping of a
   * reference page. `userfaultfd`: a handler thread copies a page in at each first touch. `scudo`: not at all while
   * fresh, by memset from the cache, as today's Scudo (S14.3).
   */
  readonly largeFill: "memset" | "refpage" | "userfaultfd" | "scudo";
  /** How the kernel initialises frames (R8). */
  readonly initialisation: "plumbed" | "double" | "nozero";
  /**
   * Memory tagging. Small chunks are tagged as Scudo does unless `off`; large ones: `small` not at all (Scudo today),
   * `stg` granule by granule, `gva` by DC GVA blocks, `refpage` by a reference page of their tag.
   */
  readonly tagging: "off" | "small" | "stg" | "gva" | "refpage";
  /** Scudo's configuration: size classes, regions, caches. */
  readonly config: keyof typeof configs;
  /** The size-class map of the primary, if it is to be another than the configuration's. What no class holds is large. */
  readonly sizeClasses: "of-config" | SizeClassMapName;
  /** Freed large mappings that the secondary keeps, 0: none; −1: as the configuration says. */
  readonly cacheEntries: number;
  /** The largest mapping that it keeps, in KiB; −1: as the configuration says. */
  readonly cacheEntryKb: number;
  /** Bytes of the pattern; one of more than a byte is 0xAB, 0xAC, … */
  readonly patternBytes: "1" | "2" | "4" | "8" | "16";
  /** Size of a page (larger-pages.ts): huge pages and large folios are the kernel's own, base pages of 16K and 64K an emulation. */
  readonly pages: PageKind;
  /** Whether mappings of reference pages become huge with pages=huge, and how (R16). */
  readonly hugeReferencePages: HugeReferencePages;
  /** Milliseconds until freed memory goes back to the kernel; negative: never. */
  readonly releaseIntervalMs: number;
  /** Scudo's quarantine in KiB; 0: none. */
  readonly quarantineKb: number;
  /** Of a user's own policy, whose module says all and makes the other fields mean nothing. */
  readonly own?: OwnPolicyName;
}

const MAX_CACHE_ENTRIES = 65536;

/** The policy `none`, from which the others differ. */
export const PLAIN: Policy = {
  name: "none",
  allocator: "scudo",
  fill: "none",
  largeFill: "scudo",
  initialisation: "plumbed",
  tagging: "off",
  config: "default",
  sizeClasses: "of-config",
  cacheEntries: -1,
  cacheEntryKb: -1,
  patternBytes: "1",
  pages: "4K",
  hugeReferencePages: "small",
  releaseIntervalMs: 5000,
  quarantineKb: 0,
};
const PATTERN: Policy = { ...PLAIN, fill: "pattern" };

/** The named policies, each with what it stands for. */
export const POLICIES: Readonly<Record<string, { readonly what: string; readonly policy: Policy }>> = {
  none: { what: "memory is handed out as it is", policy: PLAIN },
  zero: { what: "zeroes; large chunks only when they come from the cache", policy: { ...PLAIN, fill: "zero" } },
  "pattern-memset": { what: "0xAB by memset, large chunks too", policy: { ...PATTERN, largeFill: "memset" } },
  "pattern-scudo": { what: "today's pattern-or-zero: fresh large chunks read 0", policy: PATTERN },
  "pattern-refpage": {
    what: "0xAB; large chunks map a reference page, frames are written once (the agreed follow-up)",
    policy: { ...PATTERN, largeFill: "refpage" },
  },
  "pattern-refpage-double": {
    what: "the same where frames are zeroed before they are filled (what reviewers insist on)",
    policy: { ...PATTERN, largeFill: "refpage", initialisation: "double" },
  },
  "pattern-refpage-nozero": {
    what: "the same with v4's __GFP_NOZERO: frames leave the page allocator uninitialised",
    policy: { ...PATTERN, largeFill: "refpage", initialisation: "nozero" },
  },
  "pattern-userfaultfd": {
    what: "0xAB; large chunks are filled by a userfaultfd handler at each first touch",
    policy: { ...PATTERN, largeFill: "userfaultfd" },
  },
  glibc: {
    what: "glibc's malloc, by a model: what a program has that brings no allocator of its own",
    policy: { ...PLAIN, allocator: "glibc" },
  },
  "tag-small": { what: "MTE tags on small chunks only, as Scudo today", policy: { ...PLAIN, tagging: "small" } },
  "tag-stg": { what: "MTE tags, large chunks by STG", policy: { ...PLAIN, tagging: "stg" } },
  "tag-gva": { what: "MTE tags, large chunks by DC GVA", policy: { ...PLAIN, tagging: "gva" } },
  "tag-refpage": {
    what: "MTE tags, large chunks by a tagged reference page",
    policy: { ...PLAIN, largeFill: "refpage", tagging: "refpage" },
  },
};

/** What a sweep runs if not told otherwise; the first is what the others are held against. */
export const DEFAULT_POLICIES: readonly string[] = [
  "pattern-memset",
  "none",
  "pattern-refpage",
  "pattern-refpage-double",
  "pattern-userfaultfd",
];

/** Fields that `+field=value` may change, with the values that they take; null: a whole number. */
const POLICY_FIELDS: Readonly<Record<string, readonly string[] | null>> = {
  fill: ["none", "zero", "pattern"],
  largeFill: ["memset", "refpage", "userfaultfd", "scudo"],
  initialisation: ["plumbed", "double", "nozero"],
  tagging: ["off", "small", "stg", "gva", "refpage"],
  config: Object.keys(configs),
  sizeClasses: ["of-config", ...Object.keys(SIZE_CLASS_MAPS)],
  cacheEntries: null,
  cacheEntryKb: null,
  patternBytes: ["1", "2", "4", "8", "16"],
  pages: PAGE_KINDS,
  hugeReferencePages: HUGE_REFERENCE_PAGES,
  releaseIntervalMs: null,
  quarantineKb: null,
};

/**
 * Reads `NAME` or `NAME+field=value+…`.
 * @throws RangeError that says which names, fields or values there are.
 */
export function parsePolicy(text: string): Policy {
  const [name = "", ...changes] = text.split("+");
  if (!Object.hasOwn(POLICIES, name)) {
    throw new RangeError(`policy "${name}" is not one of ${Object.keys(POLICIES).join(", ")}`);
  }
  const fields: Record<string, string | number> = {};
  for (const change of changes) {
    const at = change.indexOf("=");
    const [field, value] = [change.slice(0, Math.max(at, 0)), change.slice(at + 1)];
    if (!Object.hasOwn(POLICY_FIELDS, field)) {
      throw new RangeError(`"${change}" in policy "${text}": expected FIELD=VALUE with a field of ${fieldNames()}`);
    }
    fields[field] = fieldValue(field, value, text);
  }
  return checked({ ...POLICIES[name].policy, ...fields, name: text });
}

function fieldValue(field: string, value: string, text: string): string | number {
  const values = POLICY_FIELDS[field];
  if (values === null) {
    if (/^-?\d{1,9}$/.test(value)) return Number(value);
    throw new RangeError(`${field}="${value}" in policy "${text}" is not a whole number`);
  }
  if (values.includes(value)) return value;
  throw new RangeError(`${field}="${value}" in policy "${text}" is not one of ${values.join(", ")}`);
}

function checked(policy: Policy): Policy {
  if (policy.allocator === "glibc" && policy.name !== "glibc") {
    throw new RangeError(`policy "${policy.name}": glibc's malloc has no fields`);
  }
  if (policy.tagging !== "off" && (policy.tagging === "refpage") !== (policy.largeFill === "refpage")) {
    throw new RangeError(`policy "${policy.name}": tagging=refpage and largeFill=refpage go together`);
  }
  if (policy.quarantineKb < 0) throw new RangeError(`policy "${policy.name}": quarantineKb must be 0 or more`);
  if (isEmulated(policy.pages) && policy.largeFill === "userfaultfd") {
    throw new RangeError(
      `policy "${policy.name}": pages=${policy.pages} is an emulation on pages of 4K, one fault after the other; ` +
        "with userfaultfd each would be a message",
    );
  }
  if (policy.tagging !== "off" && !configs[policy.config].maySupportMemoryTagging) {
    throw new RangeError(`policy "${policy.name}": config=${policy.config} knows no tagging`);
  }
  const keepsLarge = configs[policy.config].secondaryCache as SecondaryCacheConfig | undefined;
  if (keepsLarge === undefined && (policy.cacheEntries >= 0 || policy.cacheEntryKb >= 0)) {
    throw new RangeError(`policy "${policy.name}": config=${policy.config} has no cache of large mappings`);
  }
  if (policy.cacheEntries > MAX_CACHE_ENTRIES) {
    throw new RangeError(`policy "${policy.name}": cacheEntries must be at most ${MAX_CACHE_ENTRIES}`);
  }
  return policy;
}

function fieldNames(): string {
  return Object.keys(POLICY_FIELDS).join(", ");
}
