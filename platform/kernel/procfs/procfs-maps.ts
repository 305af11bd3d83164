// /proc/PID/maps, and what smaps begins each area with: range, permissions, offset, device, inode, name (show_map_vma).
// Sizes of what is resident are procfs-smaps.ts.
import type { Address, AreaId, FileOffset } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import type { AddressSpace } from "../mm/address-space.ts";
import type { OpenFile } from "../mm/file.ts";
import {
  VM_ACCOUNT,
  VM_DONTCOPY,
  VM_DONTDUMP,
  VM_DROPPABLE,
  VM_EXEC,
  VM_GROWSDOWN,
  VM_HUGEPAGE,
  VM_LOCKED,
  VM_LOCKONFAULT,
  VM_MAYBE_GUARD,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_MTE,
  VM_NOHUGEPAGE,
  VM_NORESERVE,
  VM_RAND_READ,
  VM_READ,
  VM_SEQ_READ,
  VM_SHARED,
  VM_SYNC,
  VM_UFFD_MISSING,
  VM_WIPEONFORK,
  VM_WRITE,
} from "../mm/vm-flags.ts";

/** VmFlags in the order in which smaps lists them: by bit (show_smap_vma_flags). */
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [VM_READ, "rd"],
  [VM_WRITE, "wr"],
  [VM_EXEC, "ex"],
  [VM_SHARED, "sh"],
  [VM_MAYREAD, "mr"],
  [VM_MAYWRITE, "mw"],
  [VM_MAYEXEC, "me"],
  [VM_MAYSHARE, "ms"],
  [VM_GROWSDOWN, "gd"],
  [VM_UFFD_MISSING, "um"],
  [VM_MAYBE_GUARD, "gu"],
  [VM_LOCKED, "lo"],
  [VM_SEQ_READ, "sr"],
  [VM_RAND_READ, "rr"],
  [VM_DONTCOPY, "dc"],
  [VM_LOCKONFAULT, "lf"],
  [VM_ACCOUNT, "ac"],
  [VM_NORESERVE, "nr"],
  [VM_SYNC, "sf"],
  [VM_WIPEONFORK, "wf"],
  [VM_DONTDUMP, "dd"],
  [VM_HUGEPAGE, "hg"],
  [VM_NOHUGEPAGE, "nh"],
  [VM_MTE, "mt"],
  [VM_DROPPABLE, "dp"],
];
/** Column at which the path begins. */
const NAME_COLUMN = 73;
/** Device numbers as mounted at boot: shmem's own mount comes first, anon_inodefs follows later; anonymous memory has none. */
const NO_DEVICE = "00:00";
const SHMEM_DEVICE = "00:01";
const ANON_INODE_DEVICE = "00:10";

/** Names of an area's flags, separated by blanks, as in smaps. */
export function vmFlagNames(flags: number): string {
  return FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0)
    .map(([, name]) => name)
    .join(" ");
}

/** `rw-p` and its like. */
export function permissionText(flags: number): string {
  const letter = (bit: number, name: string) => ((flags & bit) !== 0 ? name : "-");
  return (
    letter(VM_READ, "r") + letter(VM_WRITE, "w") + letter(VM_EXEC, "x") + ((flags & VM_MAYSHARE) !== 0 ? "s" : "p")
  );
}

/** Calls `visit` with the id of each area, ascending. */
export function forEachArea(space: AddressSpace, visit: (id: AreaId) => void): void {
  for (let index = 0; index < space.vmas.count; index++) visit(space.vmas.at(index));
}

/** What stands before a line's name. */
export interface Header {
  readonly start: Address;
  readonly end: Address;
  readonly permissions: string;
  readonly offset: FileOffset;
  readonly device: string;
  readonly inode: number;
}

/** The header's text, with the blank behind. */
export function headerPrefix({ start, end, permissions, offset, device, inode }: Header): string {
  return `${hexadecimal(start)}-${hexadecimal(end)} ${permissions} ${hexadecimal(offset)} ${device} ${inode} `;
}

/** The prefix with a name in its column; without one the line ends after the blank. */
export function withName(prefix: string, name: string): string {
  return name === "" ? prefix : prefix.padEnd(NAME_COLUMN) + name;
}

/** The line of an area in maps, without its end. */
export function headerLine(space: AddressSpace, id: AreaId): string {
  const { vmas } = space;
  const file = vmas.files[id];
  const prefix = headerPrefix({
    start: vmas.startPage[id] * PAGE_SIZE,
    end: vmas.endPage[id] * PAGE_SIZE,
    permissions: permissionText(vmas.flags[id]),
    offset: file === null ? 0 : vmas.pageOffset[id] * PAGE_SIZE,
    device: deviceOf(file),
    inode: file?.inode?.number ?? 0,
  });
  return withName(prefix, file?.operations.path ?? heapName(space, id));
}

function deviceOf(file: OpenFile | null): string {
  if (file === null) return NO_DEVICE;
  return file.inode === null ? ANON_INODE_DEVICE : SHMEM_DEVICE;
}

/** Eight digits at least, as %08lx prints. */
function hexadecimal(value: number): string {
  return value.toString(16).padStart(8, "0");
}

/** `[heap]` for the break's area. */
function heapName(space: AddressSpace, id: AreaId): string {
  const { vmas } = space;
  const inHeap = vmas.startPage[id] * PAGE_SIZE < space.brk && vmas.endPage[id] * PAGE_SIZE > space.startBrk;
  return inHeap ? "[heap]" : "";
}

/** The text of /proc/PID/maps. */
export function mapsText(space: AddressSpace): string {
  const lines: string[] = [];
  forEachArea(space, (id) => lines.push(`${headerLine(space, id)}\n`));
  return lines.join("");
}
