// Which pages of a fresh block a program touches, for traces that do not say: named models, seeded.
// A touched page gets one store, as in the thread's program. Traces with touches of their own need no model.
import { SeededRandom } from "./random.ts";

/**
 * `none`; `all`: every page; `first-page`; `fraction=F`: each page with probability F; `distribution=W*F,…`: a block
 * draws F with weight W, then each of its pages is touched with probability F. Blocks within one page count as one page.
 */
export type TouchModel =
  | { readonly kind: "none" | "all" | "first-page" }
  | { readonly kind: "fraction"; readonly fraction: number }
  | { readonly kind: "distribution"; readonly weights: readonly number[]; readonly fractions: readonly number[] };

/** Forms that parseTouchModel takes, for help texts and completion. */
export const TOUCH_MODELS = ["none", "all", "first-page", "fraction=0.5", "distribution=6*0,3*0.5,1*1"] as const;

/** @throws RangeError that says which forms there are. */
export function parseTouchModel(text: string): TouchModel {
  if (text === "none" || text === "all" || text === "first-page") return { kind: text };
  const [kind, value = ""] = splitOnce(text, "=");
  if (kind === "fraction" && isFraction(value)) return { kind, fraction: Number(value) };
  if (kind === "distribution") {
    const pairs = value.split(",").map((pair) => splitOnce(pair, "*"));
    const weights = pairs.map(([weight]) => Number(weight || Number.NaN));
    if (weights.every((weight) => weight > 0) && pairs.every(([, fraction]) => isFraction(fraction))) {
      return { kind, weights, fractions: pairs.map(([, fraction]) => Number(fraction)) };
    }
  }
  throw new RangeError(`touch model "${text}" is not one of ${TOUCH_MODELS.join(", ")} (fractions from 0 to 1)`);
}

/** The model's name as results carry it; parseTouchModel reads it back. */
export function touchModelName(model: TouchModel): string {
  if (model.kind === "fraction") return `fraction=${model.fraction}`;
  if (model.kind !== "distribution") return model.kind;
  return `distribution=${model.weights.map((weight, index) => `${weight}*${model.fractions[index]}`).join(",")}`;
}

/** Decides page by page. Calls must come in the trace's order to give the same choices for a seed. */
export class Toucher {
  private readonly model: TouchModel;
  private readonly random: SeededRandom;
  private readonly totalWeight: number;
  private threshold = 0;

  constructor(model: TouchModel, seed: number) {
    this.model = model;
    this.random = new SeededRandom(seed);
    this.totalWeight = model.kind === "distribution" ? model.weights.reduce((sum, weight) => sum + weight, 0) : 0;
  }

  /** To be called once for a block, before its pages. False: it touches none, no need to ask for pages. */
  beginBlock(): boolean {
    const { model } = this;
    if (model.kind === "fraction") this.threshold = model.fraction;
    else if (model.kind === "distribution") this.threshold = this.draw();
    return model.kind !== "none" && (model.kind === "all" || model.kind === "first-page" || this.threshold > 0);
  }

  /** Whether page `index` of the block (0 is its first) is touched. */
  touches(index: number): boolean {
    if (this.model.kind === "all") return true;
    if (this.model.kind === "first-page") return index === 0;
    return this.random.fraction() < this.threshold;
  }

  /** True if no page after the first is ever touched. */
  get firstPageOnly(): boolean {
    return this.model.kind === "first-page";
  }

  private draw(): number {
    if (this.model.kind !== "distribution") return 0;
    const { weights, fractions } = this.model;
    let left = this.random.fraction() * this.totalWeight;
    for (let index = 0; index < weights.length; index++) {
      left -= weights[index];
      if (left < 0) return fractions[index];
    }
    return fractions[fractions.length - 1];
  }
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function isFraction(text: string): boolean {
  const value = Number(text);
  return text.trim() !== "" && value >= 0 && value <= 1;
}
