// How much work the reading of one module's debug data may take. Real data is read once, and so costs steps in proportion
// to its bytes; data in which many entries point at one long list would take the square of that, and stops here.

const STEPS_PER_BYTE = 4;
const STEPS_AT_LEAST = 0x10000;

export class Budget {
  private stepsLeft: number;

  constructor(lengthBytes: number) {
    this.stepsLeft = STEPS_AT_LEAST + STEPS_PER_BYTE * lengthBytes;
  }

  get isSpent(): boolean {
    return this.stepsLeft <= 0;
  }

  /** Takes `steps` of the budget; false once there is nothing left. */
  spend(steps: number): boolean {
    this.stepsLeft -= steps;
    return this.stepsLeft > 0;
  }
}
