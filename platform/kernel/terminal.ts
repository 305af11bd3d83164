// The terminal that descriptors 0, 1 and 2 of a fresh process are. Nothing is read from it or written to it here.
import type { FdTable } from "./fd-table.ts";
import type { AddressSpace } from "./mm/address-space.ts";
import { exitMmap } from "./mm/exit-mmap.ts";
import { O_RDWR } from "./mm/file.ts";

/** Opens descriptors 0, 1 and 2. @throws SystemError ENFILE: nothing stays open then, nor the address space. */
export function openTerminal({
  fds,
  addressSpace,
}: {
  readonly fds: FdTable;
  readonly addressSpace: AddressSpace;
}): void {
  try {
    for (let fd = 0; fd < 3; fd++) {
      const terminal = addressSpace.kernel.openFile({ path: "/dev/pts/0", seekable: false }, null, O_RDWR);
      fds.install(terminal, { closeOnExec: false }, "open");
    }
  } catch (error) {
    fds.closeAll();
    exitMmap(addressSpace);
    throw error;
  }
}
