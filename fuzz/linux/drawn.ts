// Kernel programs as fast-check draws and shrinks them: steps whose numbers pick among what there is when their turn comes, so that a
// program stays sensible when steps before are taken away. Which system calls they become is decided in scripts.ts.
import fc from "fast-check";

/** One step; the numbers say which process, range, length and flags, each operation by its own reading. */
export interface DrawnStep {
  readonly op: string;
  readonly who: number;
  readonly pick: number;
  readonly shape: number;
  readonly at: number;
  readonly size: number;
  readonly other: number;
  readonly choice: number;
  readonly odd: number;
}

export interface DrawnProgram {
  readonly theme: string;
  /** First page of the region in which the program works: page tables end at multiples of 512. */
  readonly base: number;
  /** Which settings of huge pages, of those that scripts.ts lists. */
  readonly settings: number;
  readonly steps: readonly DrawnStep[];
}

type Weights = Readonly<Record<string, number>>;

const everywhere: Weights = {
  mmap: 9,
  store: 8,
  load: 6,
  fill: 4,
  observe: 7,
  munmap: 3,
  mprotect: 4,
  madvise: 5,
  mincore: 1,
};
const transfers: Weights = { copy: 1, process_vm_readv: 1, process_vm_writev: 1, pipe_write: 1, pipe_read: 1 };

const linuxThemes: Readonly<Record<string, Weights>> = {
  anon: { ...everywhere, ...transfers, mremap: 3, mlock: 1, rlimit: 1 },
  fork: { ...everywhere, ...transfers, fork: 4, exit: 2, mremap: 3, memfd: 1 },
  mremap: { ...everywhere, mremap: 14, fork: 1, memfd: 1, mlock: 1 },
  lock: {
    ...everywhere,
    mlock: 5,
    mlock2: 4,
    munlock: 4,
    munlockall: 1,
    mremap: 3,
    fork: 1,
    exit: 1,
    rlimit: 1,
    msync: 1,
  },
  file: {
    ...everywhere,
    ...transfers,
    ...{
      memfd: 4,
      ftruncate: 3,
      fpunch: 2,
      fwrite: 3,
      fread: 2,
      write: 2,
      read: 2,
      reopen: 1,
      close: 1,
      msync: 2,
      fork: 2,
      mremap: 2,
    },
  },
  mixed: {
    ...everywhere,
    ...transfers,
    ...{
      mremap: 4,
      fork: 2,
      exit: 1,
      memfd: 2,
      ftruncate: 1,
      fpunch: 1,
      fwrite: 1,
      fread: 1,
      write: 1,
      read: 1,
      close: 1,
    },
    ...{ mlock: 1, mlock2: 1, munlock: 1, munlockall: 1, msync: 1, rlimit: 1, reopen: 1 },
  },
};

const hugeEverywhere: Weights = {
  ...{
    mmap: 8,
    advise: 6,
    touch: 7,
    store: 7,
    load: 6,
    fill: 2,
    probe: 3,
    observe: 7,
    madvise: 5,
    munmap: 2,
    mprotect: 3,
  },
};

const hugeThemes: Readonly<Record<string, Weights>> = {
  basic: { ...hugeEverywhere, ...transfers, mremap: 1, mincore: 1 },
  advice: { ...hugeEverywhere, madvise: 14, thp_disable: 1, fork: 1, collapse: 2, mincore: 1 },
  fork: { ...hugeEverywhere, ...transfers, fork: 4, exit: 2, mremap: 2, collapse: 1, thp_disable: 1 },
  lock: {
    ...hugeEverywhere,
    mlock: 4,
    mlock2: 3,
    munlock: 3,
    munlockall: 1,
    mremap: 1,
    collapse: 1,
    fork: 1,
    rlimit: 1,
  },
  collapse: { ...hugeEverywhere, collapse: 9, fork: 2, exit: 1, mlock: 1, thp_disable: 1, memfd: 1 },
  mremap: { ...hugeEverywhere, mremap: 12, fork: 1, mlock: 1, collapse: 1 },
  file: {
    ...hugeEverywhere,
    ...transfers,
    memfd: 4,
    fwrite: 2,
    fread: 1,
    ftruncate: 2,
    fpunch: 2,
    mremap: 2,
    fork: 1,
    collapse: 1,
  },
};

function stepOf(weights: Weights): fc.Arbitrary<DrawnStep> {
  const number = fc.nat(0xffff);
  return fc.record({
    op: fc.oneof(...Object.entries(weights).map(([op, weight]) => ({ weight, arbitrary: fc.constant(op) }))),
    ...{
      who: number,
      pick: number,
      shape: number,
      at: number,
      size: number,
      other: number,
      choice: number,
      odd: number,
    },
  });
}

function programsOf(themes: Readonly<Record<string, Weights>>, bases: readonly number[]): fc.Arbitrary<DrawnProgram> {
  const ofTheme = ([theme, weights]: [string, Weights]): fc.Arbitrary<DrawnProgram> =>
    fc.record({
      theme: fc.constant(theme),
      base: fc.constantFrom(...bases),
      settings: fc.nat(0xffff),
      steps: fc.array(stepOf(weights), { minLength: 4, maxLength: 45, size: "max" }),
    });
  return fc.oneof(...Object.entries(themes).map(ofTheme));
}

export const linuxPrograms = programsOf(linuxThemes, [0, 0, 496]);
export const hugePrograms = programsOf(hugeThemes, [0]);
