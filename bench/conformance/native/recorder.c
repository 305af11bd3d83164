/*
 * Runs one script of the format of the kernel recordings on the kernel of this machine: steps come in as lines of words, the answer of
 * each goes out as one line of JSON, as it stands under `want` in the recordings.
 * The recorder itself takes no step: it has the script's processes take them, one at a time, and looks at them through /proc.
 */
#define _GNU_SOURCE
#include "recorder.h"
#include <errno.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_A_STEP 20

struct shared *shared;
struct iovec own_areas[64];
int own_area_count;
long tables_at_start;
struct kind kind;
struct script_process processes[MOST_PROCESSES];

int process_count = 1;
void fail(const char *what)
{
	printf("%s (errno: %s)\n", what, strerror(errno));
	fflush(stdout);
	for (int i = 0; i < process_count; i++)
		if (processes[i].alive)
			kill(processes[i].pid, SIGKILL);
	_exit(2);
}

static void wait_for(uint32_t *word)
{
	struct timespec timeout = {.tv_sec = SECONDS_A_STEP};
	while (__atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST) == 0)
		if (syscall(SYS_futex, word, FUTEX_WAIT, 0, &timeout, 0, 0) < 0 && errno == ETIMEDOUT)
			fail("a process of the script does not answer");
}

void command(int number, enum action action)
{
	shared->action = action;
	shared->signal = 0;
	shared->done = 0;
	shared->run_count = 0;
	shared->ret = 0;
	__atomic_store_n(&shared->go[number], 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &shared->go[number], FUTEX_WAKE, 1, 0, 0, 0);
	wait_for(&shared->answered);
}

long call(int number, long system_call, long a, long b, long c, long d, long e, long f)
{
	memcpy(shared->arguments, (long[]){system_call, a, b, c, d, e, f}, sizeof shared->arguments);
	command(number, SYSCALL);
	return shared->ret;
}

void end_process(int p)
{
	kill(processes[p].pid, SIGKILL);
	while (waitpid(processes[p].pid, NULL, 0) < 0 && errno == EINTR)
		;
	processes[p].alive = 0;
}

/* A new process has mapped what is the recorder's own, and waits. */
void wait_for_process(void)
{
	wait_for(&shared->ready);
}

/* The areas that the script's processes inherit; what a process finds in them it has mapped before its first step. */
static void list_own_areas(void)
{
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	if (!maps)
		fail("/proc/self/maps");
	while (fgets(line, sizeof line, maps)) {
		unsigned long start, end;
		if (sscanf(line, "%lx-%lx r", &start, &end) != 2 || strstr(line, "[v") || own_area_count == 64)
			continue;
		own_areas[own_area_count++] = (struct iovec){(void *)start, end - start};
	}
	fclose(maps);
}

/* What a process of a script is: no CAP_IPC_LOCK, limits as in the recordings, no open files but three. */
static int first_process(void *unused)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	struct rlimit old;
	(void)unused;
	if (syscall(SYS_capget, &header, data) == 0) {
		data[0].effective &= ~(1U << CAP_IPC_LOCK);
		data[0].permitted &= ~(1U << CAP_IPC_LOCK);
		syscall(SYS_capset, &header, data);
	}
	getrlimit(RLIMIT_MEMLOCK, &old);
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){8UL << 20, old.rlim_max});
	getrlimit(RLIMIT_NOFILE, &old);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){DESCRIPTORS, old.rlim_max});
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	if (!kind.has_huge_pages)
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	/* With a protection key free, memory that may only be executed could not be read; the recordings are of a processor without keys. */
	while (syscall(SYS_pkey_alloc, 0, 0) >= 0)
		;
	syscall(SYS_close_range, 3, ~0U, 0);
	return participant(0);
}

static void use_processor(int processor)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof set, &set);
}

static void start(void)
{
	int processors = sysconf(_SC_NPROCESSORS_ONLN);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (shared == MAP_FAILED)
		fail("mmap");
	prepare_observing();
	list_own_areas();
	/* All processes of a script run on one processor; the recorder on another, if there is one. */
	/* A step is a hand-over or two: other programs that run here must not make each of them wait. */
	setpriority(PRIO_PROCESS, 0, -20);
	use_processor(0);
	processes[0].pid = clone(first_process, shared->signal_stack + SIGNAL_STACK_BYTES, SIGCHLD, NULL);
	if (processes[0].pid < 0)
		fail("clone");
	processes[0].alive = 1;
	use_processor(processors > 1 ? 1 : 0);
	wait_for(&shared->ready);
	tables_at_start = status_kib(0, "VmPTE:") / 4;
}

/* One script in a process of its own: the next one starts anew after anything it does to the recorder's memory. */
static void run_script(char *lines)
{
	start();
	for (char *line = lines, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		*end = 0;
		take_step(line);
	}
	for (int i = 0; i < process_count; i++)
		if (processes[i].alive)
			end_process(i);
	fflush(stdout);
	_exit(0);
}

/* Scripts one after another: `linux` or `thp`, the steps, and `end`; after the answers of each comes a line `done` or `failed`. */
int main(void)
{
	static char line[1 << 16], script[1 << 20];
	size_t length = 0;
	while (fgets(line, sizeof line, stdin)) {
		if (strcmp(line, "linux\n") == 0 || strcmp(line, "thp\n") == 0) {
			kind.has_huge_pages = line[0] == 't';
			kind.window_pages = kind.has_huge_pages ? 4096 : 1024;
			length = 0;
		} else if (strcmp(line, "end\n") == 0) {
			int status;
			script[length] = 0;
			pid_t child = fork();
			if (child == 0)
				run_script(script);
			waitpid(child, &status, 0);
			puts(status == 0 ? "done" : "failed");
			fflush(stdout);
		} else if (length + strlen(line) < sizeof script - 1) {
			strcpy(script + length, line);
			length += strlen(line);
		} else
			fail("a script is too long");
	}
	return 0;
}
