// The end of an address space: everything is unmapped and its page table goes back to the machine (exit_mmap).
import { type AddressSpace, TASK_SIZE_PAGES } from "./address-space.ts";
import { unmapRange } from "./munmap.ts";

/** Cost: touched pages and areas. The space is left without a page and without the table, which another may get. */
export function exitMmap(space: AddressSpace): void {
  unmapRange(space, 0, TASK_SIZE_PAGES, "exit");
  const { machine } = space.kernel;
  for (const ended of [...space.endObservers]) ended();
  machine.returnPageTable(space.pageTable);
  space.pageTable = machine.emptyPageTable;
}
