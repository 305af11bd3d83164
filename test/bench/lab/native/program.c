/* Programs that the native recorder's tests record, one by the name of each: what a real program may do to its memory. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define CHECK(what) \
  do { if (!(what)) { printf("line %d: %s\n", __LINE__, #what); fflush(stdout); _exit(3); } } while (0)

/* Sizes that no library asks for, so that a test finds its block. */
#define BIG 1000003

static volatile char sink;

static void touches(void) {
  char *block = malloc(BIG);
  block[5 * PAGE] = 1;
  sink = block[9 * PAGE];
  block[9 * PAGE + 100] = 2;
  sink = block[20 * PAGE];
  free(block);
}

static void zeroed(void) {
  char *first = calloc(1, BIG);
  memset(first, 7, BIG);
  free(first);
  char *second = calloc(BIG, 1); /* the same pages, used again */
  for (int i = 0; i < BIG; i++) CHECK(second[i] == 0);
  free(second);
}

static void moves(void) {
  char *block = malloc(BIG);
  for (int page = 0; page < 200; page += 7) block[page * PAGE] = page;
  block = realloc(block, 3 * BIG);
  for (int page = 0; page < 200; page += 7) CHECK(block[page * PAGE] == (char)page);
  block = realloc(block, 700);
  CHECK(block[0] == 0);
  memset(block, 9, 700);
  block = realloc(block, 50000);
  for (int i = 0; i < 700; i++) CHECK(block[i] == 9);
  block = realloc(block, 100001);
  for (int i = 0; i < 700; i++) CHECK(block[i] == 9);
  free(block);
}

static void kernel(void) {
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  char *block = malloc(BIG);
  CHECK(write(pipes[1], block, 10) == 10); /* never stored to */
  CHECK(read(pipes[0], block + 100 * PAGE, BIG - 100 * PAGE) == 10);
  struct stat *status = malloc(BIG + 10);
  CHECK(stat("/", status + 100) == 0);
  char *text = malloc(BIG + 20);
  FILE *file = fopen("/proc/self/maps", "r");
  size_t got = fread(text, 1, BIG, file);
  CHECK(got > 1000 && got < BIG);
  CHECK(strstr(text, "libc"));
  fclose(file);
}

static void *in_thread(void *unused) {
  (void)unused;
  for (int i = 0; i < 200; i++) {
    char *block = malloc(30000 + i);
    memset(block, i, 30000);
    char *small = malloc(100);
    memset(small, i, 100);
    free(block);
    free(small);
  }
  return NULL;
}

static void threads(void) {
  pthread_t ids[4];
  for (int i = 0; i < 4; i++) pthread_create(&ids[i], NULL, in_thread, NULL);
  for (int i = 0; i < 4; i++) pthread_join(ids[i], NULL);
}

static void forks(void) {
  char *block = malloc(BIG);
  block[0] = 1;
  pid_t child = fork();
  if (child == 0) {
    block[PAGE] = 2;
    free(block);
    char *own = malloc(BIG + 1);
    own[3 * PAGE] = 1;
    _exit(0);
  }
  waitpid(child, NULL, 0);
  block[2 * PAGE] = 3;
  free(block);
}

static void killed(void) {
  char *block = malloc(BIG);
  for (int page = 0; page < 50; page++) block[page * PAGE] = 1;
  kill(getpid(), SIGKILL);
}

static sigset_t all;
static int handled;
static void on_fault(int number, siginfo_t *info, void *context) {
  (void)number;
  (void)context;
  handled++;
  mprotect(info->si_addr, PAGE, PROT_READ | PROT_WRITE);
}

/* Its own handler, blocked signals, and a coroutine on a stack in the heap. */
static ucontext_t here, there;
static void on_own_stack(void) {
  char array[20000];
  memset(array, 1, sizeof array);
  sink = array[100];
  swapcontext(&there, &here);
}

static void signals(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  char *block = malloc(BIG);
  block[PAGE] = 1;
  char *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  page[0] = 1;
  CHECK(handled == 1 && page[0] == 1);
  struct sigaction now;
  sigaction(SIGSEGV, NULL, &now);
  CHECK(now.sa_sigaction == on_fault);
  getcontext(&there);
  there.uc_stack.ss_sp = malloc(BIG + 1);
  there.uc_stack.ss_size = BIG;
  makecontext(&there, on_own_stack, 0);
  swapcontext(&here, &there);
}

static void crashes(void) {
  char *block = malloc(BIG);
  block[PAGE] = 1;
  *(volatile int *)16 = 1;
}

static void aligned(void) {
  for (size_t alignment = 16; alignment <= 1 << 20; alignment *= 2) {
    void *block = NULL;
    CHECK(posix_memalign(&block, alignment, 100) == 0 && (size_t)block % alignment == 0);
    memset(block, 1, 100);
    free(block);
  }
  CHECK(posix_memalign(&(void *){0}, 24, 100) != 0);
  CHECK(malloc((size_t)-1) == NULL && calloc((size_t)-1, 16) == NULL);
  char *kept = malloc(64);
  CHECK(realloc(kept, (size_t)-1) == NULL);
  CHECK(malloc_usable_size(kept) >= 64);
}

int main(int count, char **words) {
  (void)count;
  struct { const char *name; void (*run)(void); } programs[] = {
      {"touches", touches}, {"zeroed", zeroed}, {"moves", moves},     {"kernel", kernel},   {"threads", threads},
      {"forks", forks},     {"killed", killed}, {"signals", signals}, {"crashes", crashes}, {"aligned", aligned}};
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
    if (strcmp(words[1], programs[i].name) == 0) programs[i].run();
  return 0;
}
