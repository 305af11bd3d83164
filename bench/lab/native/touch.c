/* Touches: pages of watched blocks have no access at first; the fault of the first load and of the first store says so.
 * What the kernel reads and writes for a program faults nowhere, it fails: calls.c says it beforehand. */
#include "recorder.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define SIGNAL_STACK_BYTES (64 * 1024UL)

static struct sigaction program_action; /* what the program wants of SIGSEGV */
static __thread __attribute__((tls_model("initial-exec"))) char has_stack;

static int access_of(enum state state) {
  return state == UNTOUCHED ? PROT_NONE : state == WAS_READ ? PROT_READ : PROT_READ | PROT_WRITE;
}

static enum state state_of(uint32_t page) { return __atomic_load_n(&page_state[page], __ATOMIC_ACQUIRE); }

void pages_set(uint32_t page, uint32_t count, enum state state) {
  if (mprotect(address_of(page), (size_t)count * PAGE, access_of(state)) != 0) {
    /* Too many areas (vm.max_map_count). One access for all pages around makes fewer of them, and nothing is watched there. */
    uint32_t start = page, end = page + count;
    while (start > 1 && page_owner[start - 1] == page_owner[page]) start--;
    while (end < region_pages && page_owner[end] == page_owner[page]) end++;
    mprotect(address_of(start), (size_t)(end - start) * PAGE, PROT_READ | PROT_WRITE);
    memset(&page_state[start], OPEN, end - start);
    log_unwatched(end - start);
    return;
  }
  memset(&page_state[page], state, count);
}

void pages_reset(uint32_t page, uint32_t count) {
  uint32_t touched = 0;
  for (uint32_t i = 0; i < count && !touched; i++) touched = state_of(page + i);
  if (!touched) return;
  madvise(address_of(page), (size_t)count * PAGE, MADV_DONTNEED);
  mprotect(address_of(page), (size_t)count * PAGE, PROT_NONE);
  memset(&page_state[page], UNTOUCHED, count);
}

/* True if the page is one of ours, which can be used now. */
static int touch(const void *address, enum kind kind) {
  if (!in_region(address)) return 0;
  uint32_t page = page_of(address);
  enum state wanted = kind == WRITE ? WAS_WRITTEN : WAS_READ;
  enum state state = state_of(page);
  if (!page_owner[page]) { /* a freed block: what the program does there is not recorded */
    pages_set(page, 1, OPEN);
    return 1;
  }
  if (state >= wanted) { /* another thread was first, or its narrower access came last */
    mprotect(address_of(page), PAGE, access_of(state));
    return 1;
  }
  if (mprotect(address_of(page), PAGE, access_of(wanted)) != 0) {
    pages_set(page, 1, wanted);
    return 1;
  }
  if (__atomic_exchange_n(&page_state[page], wanted, __ATOMIC_ACQ_REL) < wanted) log_record(kind, address, 1, 0);
  return 1;
}

void touch_range(const void *address, size_t size, enum kind kind) {
  if (!in_region(address) || size == 0) return;
  const char *at = address, *end = at + size;
  for (; at < end && in_region(at); at = address_of(page_of(at) + 1)) {
    if (state_of(page_of(at)) < (kind == WRITE ? WAS_WRITTEN : WAS_READ)) touch(at, kind);
  }
}

void fill_begin(void *buffer, size_t size) {
  if (!in_region(buffer) || size == 0) return;
  uint32_t first = page_of(buffer), owner = page_owner[first], end = first + 1;
  while (end < region_pages && (char *)buffer + size > address_of(end) && page_owner[end] == owner) end++;
  for (uint32_t page = first; page < end; page++) {
    if (state_of(page) >= WAS_WRITTEN) continue;
    /* The states stay: they are what fill_end goes back to. */
    mprotect(address_of(page), (size_t)(end - page) * PAGE, PROT_READ | PROT_WRITE);
    return;
  }
}

void fill_end(void *buffer, size_t size, size_t filled) {
  if (!in_region(buffer) || size == 0) return;
  touch_range(buffer, filled, WRITE);
  uint32_t owner = page_owner[page_of(buffer)];
  for (uint32_t page = page_of(buffer); page < region_pages; ) {
    if ((char *)buffer + size <= address_of(page) || page_owner[page] != owner) return;
    enum state state = state_of(page);
    uint32_t end = page + 1;
    while (end < region_pages && (char *)buffer + size > address_of(end) && page_owner[end] == owner && state_of(end) == state) end++;
    if (state < WAS_WRITTEN) mprotect(address_of(page), (size_t)(end - page) * PAGE, access_of(state));
    page = end;
  }
}

static enum kind fault_kind(void *context) {
#if defined(__x86_64__)
  return ((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 2 ? WRITE : READ;
#elif defined(__aarch64__)
  /* ESR_ELx.WnR, in the record that the kernel adds to the frame. */
  char *at = (char *)((ucontext_t *)context)->uc_mcontext.__reserved;
  for (struct _aarch64_ctx *one = (void *)at; one->magic && one->size; at += one->size, one = (void *)at)
    if (one->magic == 0x45535201) return ((uint64_t *)at)[1] & (1 << 6) ? WRITE : READ;
  return WRITE;
#else
  return WRITE;
#endif
}

/* The C library's own name for it: looking the other one up would allocate, and the first block needs this. */
extern int __sigaction(int number, const struct sigaction *action, struct sigaction *old);

/* The fault is the program's own. */
static void forward(int number, siginfo_t *info, void *context) {
  if (program_action.sa_flags & SA_SIGINFO && program_action.sa_sigaction) {
    program_action.sa_sigaction(number, info, context);
  } else if (program_action.sa_handler != SIG_DFL && program_action.sa_handler != SIG_IGN) {
    program_action.sa_handler(number);
  } else {
    /* The same access faults again when this handler returns, and then ends the program as it always did. */
    struct sigaction plain = {.sa_handler = SIG_DFL};
    __sigaction(SIGSEGV, &plain, NULL);
    if (info->si_code <= 0) raise(SIGSEGV);
  }
}

static void on_fault(int number, siginfo_t *info, void *context) {
  int error = errno;
  if (info->si_code == SEGV_ACCERR && touch(info->si_addr, fault_kind(context))) errno = error;
  else forward(number, info, context);
}

/* A stack for the handler, in case that the faulting page is the stack itself (coroutines on malloc'ed stacks). */
void touch_thread_start(void) {
  if (has_stack) return;
  has_stack = 1;
  stack_t old;
  if (sigaltstack(NULL, &old) != 0 || !(old.ss_flags & SS_DISABLE)) return;
  void *memory = mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  stack_t stack = {.ss_sp = memory, .ss_size = SIGNAL_STACK_BYTES};
  sigaltstack(&stack, NULL);
}

void touch_start(void) {
  static char done;
  if (done) return;
  done = 1;
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  sigemptyset(&action.sa_mask);
  __sigaction(SIGSEGV, &action, &program_action);
}

/* The program keeps its view of SIGSEGV, and never blocks it: a fault while it is blocked ends the program. */
EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *old) {
  if (number == SIGSEGV) {
    if (old) *old = program_action;
    if (action) program_action = *action;
    return 0;
  }
  struct sigaction open;
  if (action) {
    open = *action;
    sigdelset(&open.sa_mask, SIGSEGV);
  }
  return __sigaction(number, action ? &open : NULL, old);
}

EXPORT sighandler_t signal(int number, sighandler_t handler) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;
  sigemptyset(&action.sa_mask);
  return sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

static const sigset_t *without_fault(int how, const sigset_t *set, sigset_t *copy) {
  if (!set || how == SIG_UNBLOCK) return set;
  *copy = *set;
  sigdelset(copy, SIGSEGV);
  return copy;
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
  static int (*real)(int, const sigset_t *, sigset_t *);
  if (!real) real = dlsym(RTLD_NEXT, "sigprocmask");
  sigset_t copy;
  return real(how, without_fault(how, set, &copy), old);
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
  static int (*real)(int, const sigset_t *, sigset_t *);
  if (!real) real = dlsym(RTLD_NEXT, "pthread_sigmask");
  sigset_t copy;
  return real(how, without_fault(how, set, &copy), old);
}
