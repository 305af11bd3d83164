/*
 * The steps of a script: each reads its words, has a process of the script take it, and prints the answer. How a process is made to do
 * something is decided in recorder.c, what `observe` prints is observe.c's; files and pipes are file-steps.c's.
 */
#define _GNU_SOURCE
#include "steps.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define NO_SUCH_PROCESS 0x3fffffff

/* An address of the kernel's choice says nothing; its mapping goes immediately unless the script keeps it. */
static void print_place(int p, unsigned long length, const char *keep)
{
	long ret = shared->ret, faults = shared->faults;
	if (ret < 0 && ret > -4096) {
		print_result(0);
		end_answer();
		return;
	}
	long offset = ret - (long)WINDOW;
	int elsewhere = offset < 0 || offset >= (long)(kind.window_pages * PAGE);
	if (strcmp(keep, "-") != 0)
		keep_address(keep, ret);
	else if (elsewhere)
		call(p, SYS_munmap, ret, length, 0, 0, 0, 0);
	if (!elsewhere)
		printf("{\"ret\":%ld", offset);
	else if (kind.has_huge_pages && length % (1UL << 21) == 0)
		printf("{\"ret\":\"elsewhere\",\"aligned\":%s", ret % (1L << 21) == 0 ? "true" : "false");
	else
		printf("{\"ret\":\"elsewhere\"");
	shared->faults = faults;
	end_answer();
}

void limit(int p, int which, rlim_t soft)
{
	struct rlimit old;
	prlimit(processes[p].pid, which, NULL, &old);
	prlimit(processes[p].pid, which, &(struct rlimit){soft, old.rlim_max}, NULL);
}

rlim_t limit_of(int p, int which)
{
	struct rlimit old;
	prlimit(processes[p].pid, which, NULL, &old);
	return old.rlim_cur;
}

static int is_open(int p, int descriptor)
{
	char path[64];
	struct stat stat;
	snprintf(path, sizeof path, "/proc/%d/fd/%d", processes[p].pid, descriptor);
	return lstat(path, &stat) == 0;
}

/* The limit below which exactly `wanted` descriptors are not open. */
static int limit_for_files(int p, long wanted)
{
	int limit = 0;
	for (long found = 0; found < wanted; limit++)
		found += !is_open(p, limit);
	while (is_open(p, limit))
		limit++;
	return limit;
}

static void step_rlimit(int p)
{
	const char *which = word();
	long value = number();
	if (strcmp(which, "AS") == 0)
		limit(p, RLIMIT_AS, status_kib(p, "VmSize:") * 1024 + value * PAGE);
	else if (strcmp(which, "DATA") == 0)
		limit(p, RLIMIT_DATA, status_kib(p, "VmData:") * 1024 + value * PAGE);
	else if (strcmp(which, "MEMLOCK") == 0)
		limit(p, RLIMIT_MEMLOCK, value * PAGE);
	else
		limit(p, RLIMIT_NOFILE, limit_for_files(p, value));
	printf("{\"ret\":0}\n");
}

static long vector(struct iovec *rows)
{
	long count = number();
	if (count > MOST_VECTORS)
		fail("a vector is too long");
	for (long i = 0; i < count; i++) {
		rows[i].iov_base = (void *)address();
		rows[i].iov_len = number();
	}
	return count;
}

static void step_transfer(int p, long system_call)
{
	long target = number(), flags = number();
	long local = vector(shared->local), remote = vector(shared->remote);
	int exists = target >= 0 && target < process_count && processes[target].alive;
	plain(p, system_call, exists ? processes[target].pid : NO_SUCH_PROCESS, (long)shared->local, local, (long)shared->remote,
	      remote, flags);
}

static void step_fork(int p)
{
	if (process_count == MOST_PROCESSES)
		fail("more processes than fit");
	shared->arguments[0] = process_count;
	command(p, FORK);
	if (shared->ret > 0) {
		processes[process_count].pid = shared->ret;
		processes[process_count].alive = 1;
		wait_for_process();
		inherit_descriptors(process_count, p);
		shared->ret = process_count++;
	}
	print_result(0);
	end_answer();
}

static void step_exit(int p)
{
	end_process(p);
	printf("{\"ret\":0}\n");
}

static void step_mincore(int p)
{
	unsigned long start = address(), length = number();
	call(p, SYS_mincore, start, length, (long)shared->buffer, 0, 0, 0);
	print_result(0);
	if (shared->ret == 0) {
		printf(",\"vec\":\"");
		unsigned long pages = (length + PAGE - 1) / PAGE;
		for (unsigned long from = 0, to; from < pages; from = to) {
			for (to = from + 1; to < pages && !((shared->buffer[to] ^ shared->buffer[from]) & 1); to++)
				;
			if (to - from > 1)
				printf("%lu", to - from);
			printf("%c", (shared->buffer[from] & 1) ? 'R' : '.');
		}
		printf("\"");
	}
	end_answer();
}

static void step_access(int p, enum action action)
{
	shared->arguments[0] = address();
	shared->arguments[1] = action == COPY ? (long)address() : 0;
	shared->arguments[2] = action == LOAD || action == STORE ? 1 : number();
	shared->arguments[3] = action == STORE || action == FILL || action == TOUCH ? number() : 0;
	command(p, action);
	if (action == DUMP || action == PROBE)
		print_runs("runs", 0);
	else
		print_result(action == FILL || action == COPY || action == TOUCH);
	end_answer();
}

static void step_mmap(int p)
{
	unsigned long at = address(), length = number();
	long protection = number(), flags = number();
	int handle, fd = descriptor(p, &handle);
	long offset = number();
	const char *keep = word();
	call(p, SYS_mmap, at, length, protection, flags, fd, offset);
	long ret = shared->ret;
	done_with(p, handle);
	shared->ret = ret;
	print_place(p, length, keep);
}

static void step_mremap(int p)
{
	unsigned long at = address(), length = number(), new_length = number();
	long flags = number();
	unsigned long new_address = address();
	const char *keep = word();
	call(p, SYS_mremap, at, length, new_length, flags, new_address, 0);
	print_place(p, new_length, keep);
}

/* Calls whose arguments are an address and one to three numbers. */
static int step_range(int p, const char *op)
{
	static const struct {
		const char *op;
		long system_call;
		int numbers;
	} calls[] = {
		{"munmap", SYS_munmap, 1},   {"mlock", SYS_mlock, 1},	    {"munlock", SYS_munlock, 1}, {"munlockall", SYS_munlockall, 0},
		{"mprotect", SYS_mprotect, 2}, {"madvise", SYS_madvise, 2}, {"msync", SYS_msync, 2},     {"mlock2", SYS_mlock2, 2},
	};
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		if (strcmp(op, calls[i].op) != 0)
			continue;
		unsigned long at = calls[i].numbers > 0 ? address() : 0;
		long first = calls[i].numbers > 0 ? number() : 0;
		long second = calls[i].numbers > 1 ? number() : 0;
		plain(p, calls[i].system_call, at, first, second, 0, 0, 0);
		return 1;
	}
	return 0;
}

static void take(void)
{
	static const char *const accesses[] = {"load", "store", "fill", "copy", "dump", "touch", "probe"};
	shared->faults = 0;
	const char *op = word();
	long p = number();
	if (p < 0 || p >= process_count || !processes[p].alive)
		fail("no such process");
	for (size_t i = 0; i < sizeof accesses / sizeof *accesses; i++) {
		if (strcmp(op, accesses[i]) != 0)
			continue;
		step_access(p, LOAD + i);
		return;
	}
	if (step_range(p, op) || step_file(p, op))
		return;
	if (strcmp(op, "observe") == 0)
		observe(p);
	else if (strcmp(op, "mmap") == 0)
		step_mmap(p);
	else if (strcmp(op, "mremap") == 0)
		step_mremap(p);
	else if (strcmp(op, "mincore") == 0)
		step_mincore(p);
	else if (strcmp(op, "fork") == 0)
		step_fork(p);
	else if (strcmp(op, "exit") == 0)
		step_exit(p);
	else if (strcmp(op, "process_vm_readv") == 0)
		step_transfer(p, SYS_process_vm_readv);
	else if (strcmp(op, "process_vm_writev") == 0)
		step_transfer(p, SYS_process_vm_writev);
	else if (strcmp(op, "rlimit") == 0)
		step_rlimit(p);
	else if (strcmp(op, "thp_disable") == 0) {
		long value = number(), flags = number();
		plain(p, SYS_prctl, PR_SET_THP_DISABLE, value, flags, 0, 0, 0);
	} else if (strcmp(op, "thp_disabled") == 0)
		plain(p, SYS_prctl, PR_GET_THP_DISABLE, 0, 0, 0, 0, 0);
	else
		fail("an op that the recorder does not know");
}

void take_step(char *line)
{
	read_words(line);
	take();
}
