/*
 * What runs inside a process of the script: it waits for a command, runs it, notes the answer and the minor faults that it cost.
 * It makes system calls without the C library and writes shared memory only, so that no fault but the script's is ever counted.
 */
#define _GNU_SOURCE
#include "recorder.h"
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define POPULATE_READ 22
#define POPULATE_WRITE 23

static long raw(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
#else
#error "the recordings are of x86-64"
#endif
}

/* Where a signal goes on; one process runs at a time. Lies in shared memory, as all that is written. */
struct resume {
	void *words[5];
};

static struct resume *resume_point(void)
{
	return (struct resume *)shared->signal_stack;
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)context;
	shared->signal = signal;
	shared->code = info->si_code;
	shared->at = (unsigned long)info->si_addr;
	__builtin_longjmp(resume_point()->words, 1);
}

static void add_run(int value, unsigned count)
{
	struct run *last = shared->run_count > 0 ? &shared->runs[shared->run_count - 1] : 0;
	if (last && last->value == value)
		last->count += count;
	else if (shared->run_count < MOST_RUNS)
		shared->runs[shared->run_count++] = (struct run){value, count};
}

/* One access a byte, or a page, upwards; a signal leaves `done` where it came to. */
static __attribute__((noinline, noclone)) void access_memory(void)
{
	volatile unsigned char *to = (unsigned char *)shared->arguments[0];
	volatile unsigned char *from = (unsigned char *)shared->arguments[1];
	long length = shared->arguments[2];
	unsigned char value = shared->arguments[3];
	switch (shared->action) {
	case LOAD:
		shared->ret = *to;
		break;
	case STORE:
		*to = value;
		break;
	case FILL:
		for (; shared->done < length; shared->done++)
			to[shared->done] = value;
		break;
	case COPY:
		for (; shared->done < length; shared->done++)
			to[shared->done] = from[shared->done];
		break;
	case TOUCH:
		for (; shared->done * (long)PAGE < length; shared->done++)
			to[shared->done * PAGE] = value;
		break;
	default:
		break;
	}
}

static __attribute__((noinline)) int try_access(void)
{
	if (__builtin_setjmp(resume_point()->words))
		return 0;
	access_memory();
	return 1;
}

/* A call, so that the compiler takes it for something that may go on elsewhere. */
static __attribute__((noinline, noclone)) int load_byte(unsigned long address)
{
	__asm__ volatile("" ::: "memory");
	return *(volatile unsigned char *)address;
}

static __attribute__((noinline)) int try_load(unsigned long address)
{
	if (__builtin_setjmp(resume_point()->words))
		return shared->signal == SIGBUS ? -3 : shared->code == SEGV_ACCERR ? -2 : -1;
	return load_byte(address);
}

/* Loads every byte (or one a page) and goes on with the next page where the first is refused. */
static void look(unsigned long step)
{
	unsigned long address = shared->arguments[0], end = address + shared->arguments[2];
	while (address < end) {
		unsigned long stop = (address & -PAGE) + PAGE;
		if (step == PAGE)
			stop = address + PAGE;
		if (stop > end)
			stop = end;
		int value = try_load(address);
		if (step == PAGE || value < 0)
			add_run(value, step == PAGE ? 1 : stop - address);
		else
			for (unsigned long at = address; at < stop; at++)
				add_run(*(volatile unsigned char *)at, 1);
		address = stop;
	}
	shared->signal = 0;
}

static long minor_faults(void)
{
	struct rusage usage;
	raw(SYS_getrusage, RUSAGE_SELF, (long)&usage, 0, 0, 0, 0);
	return usage.ru_minflt;
}

static void fork_here(void)
{
	int number = shared->arguments[0];
	/* A child of the recorder's, as all of them: it is waited for there. */
	shared->ret = clone(participant, shared->stacks[number] + STACK_BYTES, CLONE_PARENT | SIGCHLD, (void *)(long)number);
}

static void run_command(void)
{
	long *a = shared->arguments;
	long before = minor_faults();
	switch (shared->action) {
	case SYSCALL:
		shared->ret = raw(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
		break;
	case DUMP:
		look(1);
		break;
	case PROBE:
		look(PAGE);
		break;
	case FORK:
		fork_here();
		break;
	default:
		if (try_access())
			shared->done = -1;
	}
	shared->faults += minor_faults() - before;
	/* What has been put off by the kernel is done now, as it was when the recordings of the project were made. */
	if (shared->action == FORK)
		raw(SYS_madvise, (long)shared->buffer, PAGE, POPULATE_WRITE, 0, 0, 0);
}

/* Maps all that the recorder itself will touch here, so that it costs no fault later. */
static void map_own_memory(void)
{
	raw(SYS_madvise, (long)shared, (sizeof *shared + PAGE - 1) & -PAGE, POPULATE_WRITE, 0, 0, 0);
	for (int i = 0; i < own_area_count; i++)
		raw(SYS_madvise, (long)own_areas[i].iov_base, own_areas[i].iov_len, POPULATE_READ, 0, 0, 0);
}

static void wake(uint32_t *word)
{
	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	raw(SYS_futex, (long)word, FUTEX_WAKE, 1, 0, 0, 0);
}

static void wait_for(uint32_t *word)
{
	while (__atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST) == 0)
		raw(SYS_futex, (long)word, FUTEX_WAIT, 0, 0, 0, 0);
}

int participant(void *number)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	stack_t stack = {.ss_sp = shared->signal_stack + PAGE, .ss_size = SIGNAL_STACK_BYTES - PAGE};
	uint32_t *go = &shared->go[(long)number];
	map_own_memory();
	/* The first process sets up what its children inherit. */
	if ((long)number == 0) {
		sigaltstack(&stack, 0);
		sigaction(SIGSEGV, &action, 0);
		sigaction(SIGBUS, &action, 0);
	}
	wake(&shared->ready);
	for (;;) {
		wait_for(go);
		run_command();
		wake(&shared->answered);
	}
}
