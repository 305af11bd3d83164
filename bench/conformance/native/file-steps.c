/*
 * Steps on files and pipes, and the handles by which a script names descriptors. Buffers that a script does not name are the recorder's.
 */
#define _GNU_SOURCE
#include "steps.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define MOST_HANDLES 128
#define CLOSED_DESCRIPTOR 1000

/* Descriptors by process and handle; -1: not open there. */
static int descriptors[MOST_PROCESSES][MOST_HANDLES];
static struct {
	dev_t device;
	ino_t inode;
} memfds[MOST_HANDLES];
static int memfd_of[MOST_HANDLES];
static int handle_count;
static unsigned long shared_objects[MOST_HANDLES];
static int shared_object_count;


/* A shared anonymous object has no name; it is numbered as it appears. */
const char *object_name(const char *device, unsigned long inode)
{
	static char name[24];
	unsigned major, minor;
	sscanf(device, "%x:%x", &major, &minor);
	for (int handle = 0; handle < handle_count; handle++) {
		if (memfds[handle].inode != inode || memfds[handle].device != makedev(major, minor))
			continue;
		snprintf(name, sizeof name, "m%d", memfd_of[handle]);
		return name;
	}
	int object = 0;
	while (object < shared_object_count && shared_objects[object] != inode)
		object++;
	if (object == shared_object_count && object < MOST_HANDLES)
		shared_objects[shared_object_count++] = inode;
	snprintf(name, sizeof name, "s%d", object);
	return name;
}

void inherit_descriptors(int child, int parent)
{
	memcpy(descriptors[child], descriptors[parent], sizeof descriptors[parent]);
}

static int pipe_ends[2];

static void open_pipe(int p)
{
	rlim_t old = limit_of(p, RLIMIT_NOFILE);
	limit(p, RLIMIT_NOFILE, DESCRIPTORS);
	if (call(p, SYS_pipe2, (long)shared->buffer, O_NONBLOCK, 0, 0, 0, 0) != 0)
		fail("pipe2");
	memcpy(pipe_ends, shared->buffer, sizeof pipe_ends);
	limit(p, RLIMIT_NOFILE, old);
}

static void close_pipe(int p)
{
	call(p, SYS_close, pipe_ends[0], 0, 0, 0, 0, 0);
	call(p, SYS_close, pipe_ends[1], 0, 0, 0, 0, 0);
}

/* `h2`, `bad`, `pipe` or a number; a pipe is closed after the step. */
int descriptor(int p, int *handle)
{
	const char *text = word();
	*handle = -1;
	if (strcmp(text, "bad") == 0)
		return CLOSED_DESCRIPTOR;
	if (strcmp(text, "pipe") == 0) {
		open_pipe(p);
		*handle = -2;
		return pipe_ends[0];
	}
	if (text[0] != 'h')
		return atoi(text);
	*handle = atoi(text + 1);
	if (*handle >= handle_count || descriptors[p][*handle] < 0)
		return CLOSED_DESCRIPTOR;
	return descriptors[p][*handle];
}

void done_with(int p, int handle)
{
	if (handle == -2)
		close_pipe(p);
}

/* Gives the descriptor that the call returned a handle; prints it. */
static void print_handle(int p, int same_object_as)
{
	char path[64];
	struct stat stat_;
	if (shared->ret < 0) {
		print_result(0);
		end_answer();
		return;
	}
	if (handle_count == MOST_HANDLES)
		fail("more handles than fit");
	snprintf(path, sizeof path, "/proc/%d/fd/%ld", processes[p].pid, shared->ret);
	if (stat(path, &stat_) != 0)
		fail(path);
	for (int i = 0; i < MOST_PROCESSES; i++)
		descriptors[i][handle_count] = -1;
	descriptors[p][handle_count] = shared->ret;
	memfds[handle_count].device = stat_.st_dev;
	memfds[handle_count].inode = stat_.st_ino;
	memfd_of[handle_count] = same_object_as < 0 ? handle_count : memfd_of[same_object_as];
	shared->ret = handle_count++;
	print_result(0);
	end_answer();
}

static void step_memfd(int p)
{
	long size = number();
	strcpy((char *)shared->buffer, "script");
	long fd = call(p, SYS_memfd_create, (long)shared->buffer, 0, 0, 0, 0, 0);
	if (fd >= 0) {
		long ret = call(p, SYS_ftruncate, fd, size, 0, 0, 0, 0);
		if (ret < 0)
			call(p, SYS_close, fd, 0, 0, 0, 0, 0);
		shared->ret = ret < 0 ? ret : fd;
	}
	print_handle(p, -1);
}

static void step_reopen(int p)
{
	static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR};
	int handle, fd = descriptor(p, &handle);
	long mode = number();
	sprintf((char *)shared->buffer, "/proc/self/fd/%d", fd);
	call(p, SYS_open, (long)shared->buffer, modes[mode % 3], 0, 0, 0, 0);
	/* The path through /proc is how it is opened; what the script means is the descriptor. */
	if (shared->ret == -ENOENT)
		shared->ret = -EBADF;
	long ret = shared->ret;
	done_with(p, handle);
	shared->ret = ret;
	print_handle(p, handle);
}

static void step_close(int p)
{
	int handle, fd = descriptor(p, &handle);
	plain(p, SYS_close, fd, 0, 0, 0, 0, 0);
	if (handle >= 0)
		descriptors[p][handle] = -1;
}

/* A call with a descriptor and up to three arguments; with `data` what was read into the recorder's buffer. */
static void file_call(int p, int fd, int handle, long system_call, long b, long c, long d, int data)
{
	call(p, system_call, fd, b, c, d, 0, 0);
	long ret = shared->ret;
	done_with(p, handle);
	shared->ret = ret;
	print_result(0);
	if (data && ret >= 0)
		print_bytes(ret);
	end_answer();
}

static void check_buffer(long length)
{
	if (length < 0 || (unsigned long)length > BUFFER_BYTES)
		fail("a transfer is longer than the recorder's buffer");
}

static void step_pipe_write(int p)
{
	unsigned long from = address();
	long length = number();
	check_buffer(length);
	open_pipe(p);
	long ret = call(p, SYS_write, pipe_ends[1], from, length, 0, 0, 0);
	if (ret > 0)
		call(p, SYS_read, pipe_ends[0], (long)shared->buffer, length, 0, 0, 0);
	close_pipe(p);
	shared->ret = ret;
	print_result(0);
	if (ret >= 0)
		print_bytes(ret);
	end_answer();
}

static void step_pipe_read(int p)
{
	unsigned long to = address();
	long length = number(), value = number();
	check_buffer(length);
	open_pipe(p);
	memset(shared->buffer, value, length);
	if (length > 0)
		call(p, SYS_write, pipe_ends[1], (long)shared->buffer, length, 0, 0, 0);
	long ret = call(p, SYS_read, pipe_ends[0], to, length, 0, 0, 0);
	close_pipe(p);
	shared->ret = ret;
	print_result(0);
	end_answer();
}

int step_file(int p, const char *op)
{
	static const struct {
		const char *op;
		void (*take)(int p);
	} steps[] = {{"memfd", step_memfd}, {"reopen", step_reopen}, {"close", step_close}, {"pipe_write", step_pipe_write}, {"pipe_read", step_pipe_read}};
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		if (strcmp(op, steps[i].op) != 0)
			continue;
		steps[i].take(p);
		return 1;
	}
	static const char *const ops[] = {"ftruncate", "fpunch", "fwrite", "fread", "write", "read"};
	size_t which = 0;
	while (which < 6 && strcmp(op, ops[which]) != 0)
		which++;
	if (which == 6)
		return 0;
	if (which >= 4) {
		int handle, fd = descriptor(p, &handle);
		unsigned long at = address();
		long length = number(), offset = number();
		file_call(p, fd, handle, which == 4 ? SYS_pwrite64 : SYS_pread64, at, length, offset, 0);
		return 1;
	}
	int handle, fd = descriptor(p, &handle);
	long first = number(), second = which == 0 ? 0 : number();
	if (which == 0)
		file_call(p, fd, handle, SYS_ftruncate, first, 0, 0, 0);
	else if (which == 1)
		file_call(p, fd, handle, SYS_fallocate, 3, first, second, 0);
	else {
		check_buffer(second);
		if (which == 2)
			memset(shared->buffer, number(), second);
		file_call(p, fd, handle, which == 2 ? SYS_pwrite64 : SYS_pread64, (long)shared->buffer, second, first, which == 3);
	}
	return 1;
}
