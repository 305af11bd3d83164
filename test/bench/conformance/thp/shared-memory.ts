// Recorded scripts that need huge pages of shared memory, which the simulated kernel does not have: only private anonymous memory
// becomes huge.

const names = new Set([
  "t1213",
  "t1562",
  "t1031",
  "t1379",
  "t1496",
  "t1030",
  "t1033",
  "t1043",
  "t1069",
  "t1134",
  "t1217",
  "t1223",
  "t1298",
  "t1347",
  "t1348",
  "t1357",
  "t1381",
  "t1384",
  "t1435",
  "t1470",
  "t1575",
  "t1579",
  "t1598",
  "t1611",
  "t1656",
  "collapse_files",
  "shmem_advise",
  "shmem_memfd",
  "shmem_protect_move",
]);

/** Whether a report is of such a script. */
export function isOfSharedMemory(report: string): boolean {
  return names.has(report.slice(0, report.indexOf(" ")));
}
