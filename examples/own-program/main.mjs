// The question of the 2021 thread as a program: 16 MiB that read as 0xaa, of which every 64th page is written.
import {
  createKernel,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
  refpage_create2,
} from "refheap/kernel";

const SIZE = 16 * 2 ** 20;
const PATTERN = 0xaa;

function writeSome(memory, p) {
  for (let offset = 0; offset < SIZE; offset += 64 * PAGE_SIZE) memory.setUint32(p + offset, 1);
}

/** The program fills anonymous memory itself. */
function byMemset(process) {
  const p = process.mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  process.memory.fill(p, PATTERN, SIZE);
  writeSome(process.memory, p);
}

/** The kernel has a page of the pattern; mappings of its descriptor read it until they are written. */
function byReferencePage(process) {
  const pattern = process.mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  process.memory.setUint8(pattern, PATTERN);
  const fd = refpage_create2(process, pattern, 1, 0);
  process.munmap(pattern, PAGE_SIZE);
  const p = process.mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  writeSome(process.memory, p);
}

for (const program of [byMemset, byReferencePage]) {
  const kernel = createKernel();
  const process = kernel.createProcess({ name: program.name });
  program(process);
  console.log(`${program.name}: ${process.minorFaults} faults, ${process.rssBytes / 1024} KiB resident`);
}
