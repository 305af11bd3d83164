// The end of an address space: everything is unmapped and its page table goes back to the machine (exit_mmap).
import { type AddressSpace, TASK_SIZE_PAGES } from "./address-space.ts";
import { unmapRange } from "./munmap.ts";

/** Cost: touched pages and areas. */
export function exitMmap(space: AddressSpace): void {
  unmapRange(space, 0, TASK_SIZE_PAGES, "exit");
  space.kernel.machine.returnPageTable(space.pageTable);
}
