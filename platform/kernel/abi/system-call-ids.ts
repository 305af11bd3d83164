// The numbers under which a process counts its system calls, so that counting one needs no string.
// Calls on files have theirs in file-calls.ts; the kernel's own numbers of the calls are in syscall-table.ts.
import { systemCallId } from "../../hardware/counters.ts";

export const systemCallIds = {
  mmap: systemCallId("mmap"),
  munmap: systemCallId("munmap"),
  mprotect: systemCallId("mprotect"),
  madvise: systemCallId("madvise"),
  mremap: systemCallId("mremap"),
  mincore: systemCallId("mincore"),
  msync: systemCallId("msync"),
  mlock: systemCallId("mlock"),
  mlock2: systemCallId("mlock2"),
  munlock: systemCallId("munlock"),
  mlockall: systemCallId("mlockall"),
  munlockall: systemCallId("munlockall"),
  brk: systemCallId("brk"),
  fork: systemCallId("fork"),
  clone: systemCallId("clone"),
  exit: systemCallId("exit"),
  wait4: systemCallId("wait4"),
  process_vm_readv: systemCallId("process_vm_readv"),
  process_vm_writev: systemCallId("process_vm_writev"),
  prlimit64: systemCallId("prlimit64"),
  prctl: systemCallId("prctl"),
  execve: systemCallId("execve"),
  rt_sigaction: systemCallId("rt_sigaction"),
  rt_sigprocmask: systemCallId("rt_sigprocmask"),
  kill: systemCallId("kill"),
  ptrace: systemCallId("ptrace"),
} as const;
