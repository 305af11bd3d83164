// What a thread's MTE instructions go by and leave behind, beside the tags themselves: system registers of Arm's (DDI 0487).
// The instructions are mte.ts; how a mismatch is reported is mmu.ts.

export class TagState {
  /** TFSRE0_EL1.TF0: an asynchronous mismatch happened; the next kernel entry turns it into a signal. */
  asyncTagFault = false;
  /** GCR_EL1.Exclude: tags that IRG, ADDG and SUBG pass over, one bit a tag. */
  tagExclude = 0;
  /** State of IRG's generator, one word. */
  private randomTags: Int32Array = Int32Array.of(0x2545f491);
  /** PSTATE.NZCV as the last SUBPS left it: N * 8 + Z * 4 + C * 2 + V. */
  nzcv = 0;

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
