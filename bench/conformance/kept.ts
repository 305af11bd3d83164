// Mappings that a script keeps under a name. The kernel chose their addresses, so a file's are not this kernel's: faults in
// them are held against the recording by how far each kept mapping is from where it was recorded.
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { type Answer, type Step, stringsOf } from "./script.ts";

const keptAddress = /^\$(\w+)([+-]\d+)?$/;

export class KeptAddresses {
  private readonly starts = new Map<string, number>();
  /** Bytes from each mapping here to the recorded one, once a fault has told. */
  private readonly distances = new Map<string, number>();

  /** `address` is known as `name` from now on. */
  keep(name: string, address: number): void {
    this.starts.set(name, address);
    this.distances.delete(name);
  }

  /** The address of `"$A+10"`; undefined if nothing is kept under that name, or for another text. */
  address(text: string): number | undefined {
    const [, name, offset] = keptAddress.exec(text) ?? [];
    const start = name === undefined ? undefined : this.starts.get(name);
    return start === undefined ? undefined : start + Number(offset ?? 0);
  }

  /**
   * What a step should answer if the recorded kernel had put the mappings where this one did: `want`, but `at` as it is here
   * where the step names a kept mapping whose distance explains the difference.
   */
  translate(step: Step, got: Answer): Answer {
    const { want } = step;
    if (want.at === undefined || got.at === undefined || want.at === got.at) return want;
    const distance = want.at - got.at;
    if (distance % PAGE_SIZE !== 0) return want;
    for (const text of stringsOf(step)) {
      const [, name] = keptAddress.exec(text) ?? [];
      if (name === undefined || !this.starts.has(name)) continue;
      const known = this.distances.get(name);
      if (known !== undefined && known !== distance) continue;
      this.distances.set(name, distance);
      return { ...want, at: got.at };
    }
    return want;
  }
}
