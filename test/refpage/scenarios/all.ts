// All reference-page scenarios in order, and the text of the two files that hold them (scenarios.test.ts writes those on -u).
import { creationScenarios } from "./creation.ts";
import { edgeScenarios } from "./edges.ts";
import { fileScenarios } from "./file.ts";
import { hugeScenarios } from "./huge.ts";
import { mappingScenarios } from "./mapping.ts";
import { pathScenarios } from "./paths.ts";
import type { Scenario } from "./steps.ts";

export const scenarios: readonly Scenario[] = [
  ...creationScenarios,
  ...fileScenarios,
  ...mappingScenarios,
  ...pathScenarios,
  ...edgeScenarios,
  ...hugeScenarios,
];

export function linesOf(all: readonly Scenario[]): string {
  return all.map(({ script }) => `${JSON.stringify(script)}\n`).join("");
}

export function sentencesOf(all: readonly Scenario[]): string {
  return all.map(({ script, sentence }) => `${script.name}: ${sentence}\n`).join("");
}
