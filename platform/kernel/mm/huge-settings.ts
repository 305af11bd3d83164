// The settings of transparent huge pages (/sys/kernel/mm/transparent_hugepage), as they may be given and changed.
// Which areas may have huge pages by them is huge-eligibility.ts.
import { requireOptions } from "../../hardware/given-options.ts";
import { keepClass } from "../../state/kept.ts";
import { HUGE_FRAMES, HUGE_ORDER } from "./free-frames.ts";

/** The bit of a set of orders that stands for pages of 2 MiB. */
export const HUGE_ORDER_BIT = 1 << HUGE_ORDER;

/** Who gets huge pages: all, those who ask by madvise, or no process. */
export type HugePagesEnabled = "always" | "madvise" | "never";

/** As the files in /sys/kernel/mm/transparent_hugepage. */
export interface HugePageOptions {
  /** Which areas may get huge pages: all, those with MADV_HUGEPAGE, none. Default "madvise". */
  readonly enabled?: HugePagesEnabled;
  /** Whether a load of an untouched block maps the huge zero page rather than a huge page of its own. Default true. */
  readonly useZeroPage?: boolean;
  /** Sizes in KiB for which `enabled` counts: powers of two from 16 to 1024, and 2048. All others are never used. Default [2048]. */
  readonly sizes?: readonly number[];
  /** Whether shared memory with MADV_HUGEPAGE gets huge pages. Default "never". */
  readonly shmem?: ShmemHuge;
}

type ShmemHuge = "never" | "advise";

const ENABLED: readonly HugePagesEnabled[] = ["always", "madvise", "never"];
const SHMEM: readonly ShmemHuge[] = ["never", "advise"];
const KIB_PER_PAGE = 4;
const SMALLEST_KIB = 16;
const HUGE_KIB = HUGE_FRAMES * KIB_PER_PAGE;

/** The files of sysfs; they may be written while programs run, and count from the next fault on. */
export class HugePageSettings {
  private enabledFor: HugePagesEnabled = "madvise";
  private sharedFor: ShmemHuge = "never";
  private mapsZeroPage = true;
  /** A bit for each order whose size is enabled. */
  private enabledOrders = 0;

  /** @throws RangeError for a value that Linux's files would not take. */
  constructor(options: HugePageOptions = {}) {
    requireOptions("hugePages", options, { enabled: "any", useZeroPage: "boolean", sizes: "object", shmem: "any" });
    const { enabled = "madvise", useZeroPage = true, sizes = [HUGE_KIB], shmem = "never" } = options;
    this.enabled = enabled;
    this.useZeroPage = useZeroPage;
    this.shmem = shmem;
    this.sizes = sizes;
  }

  get enabled(): HugePagesEnabled {
    return this.enabledFor;
  }

  /** @throws RangeError for another word. */
  set enabled(enabled: HugePagesEnabled) {
    if (!ENABLED.includes(enabled))
      throw new RangeError(`hugePages.enabled: "${String(enabled)}" is not one of ${ENABLED.join(", ")}`);
    this.enabledFor = enabled;
  }

  get shmem(): ShmemHuge {
    return this.sharedFor;
  }

  /** @throws RangeError for another word. */
  set shmem(shmem: ShmemHuge) {
    if (!SHMEM.includes(shmem))
      throw new RangeError(`hugePages.shmem: "${String(shmem)}" is not one of ${SHMEM.join(", ")}`);
    this.sharedFor = shmem;
  }

  get useZeroPage(): boolean {
    return this.mapsZeroPage;
  }

  /** @throws RangeError for what is no boolean. */
  set useZeroPage(useZeroPage: boolean) {
    if (typeof useZeroPage !== "boolean")
      throw new RangeError(`hugePages.useZeroPage: ${String(useZeroPage)} is neither true nor false`);
    this.mapsZeroPage = useZeroPage;
  }

  get sizes(): readonly number[] {
    const sizes: number[] = [];
    for (let order = 0; order <= HUGE_ORDER; order++)
      if ((this.enabledOrders >> order) & 1) sizes.push(KIB_PER_PAGE << order);
    return sizes;
  }

  /** @throws RangeError for a size that no folio has. */
  set sizes(sizes: readonly number[]) {
    let orders = 0;
    for (const kib of sizes) {
      const order = Math.log2(kib / KIB_PER_PAGE);
      if (!Number.isInteger(order) || kib < SMALLEST_KIB || kib > HUGE_KIB)
        throw new RangeError(`hugePages.sizes: ${kib} is not a power of two from ${SMALLEST_KIB} to ${HUGE_KIB} KiB`);
      orders |= 1 << order;
    }
    this.enabledOrders = orders;
  }

  /** Whether sizes below 2 MiB are enabled. */
  get hasFolioSizes(): boolean {
    return (this.enabledOrders & (HUGE_ORDER_BIT - 1)) !== 0;
  }

  /** A bit for each enabled order. */
  get orders(): number {
    return this.enabledOrders;
  }
}

/** What prctl(PR_SET_THP_DISABLE) made of an address space. */
export type ThpDisable = "no" | "all" | "except-advised";

keepClass("HugePageSettings", HugePageSettings);
