// What a thread's MTE instructions go by and leave behind, beside the tags themselves: system registers of Arm's (DDI 0487).
// The instructions are mte.ts; what a mismatch does is mmu.ts.
import { TAG_CHECK_NONE, type TagCheckMode } from "./tag-check.ts";

export class TagState {
  /** TFSRE0_EL1.TF0: an asynchronous mismatch happened; the next kernel entry turns it into a signal. */
  asyncTagFault = false;
  /** GCR_EL1.Exclude: tags that IRG, ADDG and SUBG pass over, one bit a tag. */
  tagExclude = 0;
  /** State of IRG's generator, one word. */
  private randomTags: Int32Array = Int32Array.of(0x2545f491);
  /** PSTATE.NZCV as the last SUBPS left it: N * 8 + Z * 4 + C * 2 + V. */
  nzcv = 0;

  private mode: TagCheckMode = TAG_CHECK_NONE;
  private override = false;
  /** Whether accesses compare tags now: a mode is set and TCO is not. */
  protected checksTags = false;

  /** SCTLR_EL1.TCF0: what a tag mismatch does to this thread. */
  get tagCheckMode(): TagCheckMode {
    return this.mode;
  }

  /** Sets how a tag that does not match is reported. */
  set tagCheckMode(mode: TagCheckMode) {
    this.mode = mode;
    this.update();
  }

  /** PSTATE.TCO: suppresses this thread's tag checks while set; tags are still stored and loaded. */
  get tco(): boolean {
    return this.override;
  }

  /** Sets whether checks are off for the moment (PSTATE.TCO). */
  set tco(suppress: boolean) {
    this.override = suppress;
    this.update();
  }

  protected update(): void {
    this.checksTags = this.mode !== TAG_CHECK_NONE && !this.override;
  }

  /** State of IRG's generator (RGSR_EL1), 32 bits, not 0; a kernel seeds it for each thread. */
  get randomTagState(): number {
    return this.randomTags[0];
  }

  /** Sets the state. */
  set randomTagState(state: number) {
    this.randomTags[0] = state;
  }

  /** Keeps {@link randomTagState} in this word from now on, where a program that draws tags by itself goes on with it, too. */
  keepRandomTagsIn(word: Int32Array): void {
    word[0] = this.randomTags[0];
    this.randomTags = word;
  }
}
