/*
 * What the parts of the recorder share: the memory in which it speaks with the script's processes, and the words of their commands.
 * recorder.c reads the script and prints answers, participant.c runs inside the script's processes, observe.c looks at one from outside.
 */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define PAGE 4096UL
#define WINDOW 0x1000000000UL
#define MOST_PROCESSES 32
#define MOST_RUNS 32768
#define MOST_VECTORS 64
#define BUFFER_BYTES (256UL * 1024)
#define DESCRIPTORS 1024
#define STACK_BYTES 4096UL
#define SIGNAL_STACK_BYTES 32768UL

enum action { SYSCALL, LOAD, STORE, FILL, COPY, DUMP, TOUCH, PROBE, FORK };

struct run {
	int value;
	unsigned count;
};

/* The memory is shared and mapped before the script starts: a script's process never writes a page of its own outside the window. */
struct shared {
	/* Words to wait for: the process with this number may go on; the command is done; a new process is there. */
	uint32_t go[MOST_PROCESSES];
	uint32_t answered;
	uint32_t ready;

	enum action action;
	long arguments[7];
	struct iovec local[MOST_VECTORS], remote[MOST_VECTORS];

	long ret;
	int signal, code;
	unsigned long at;
	long done;
	long faults;
	unsigned run_count;
	struct run runs[MOST_RUNS];
	unsigned char buffer[BUFFER_BYTES];
	unsigned char stacks[MOST_PROCESSES][STACK_BYTES] __attribute__((aligned(4096)));
	unsigned char signal_stack[SIGNAL_STACK_BYTES];
};

extern struct shared *shared;
/* Areas of the recorder's own, which a new process maps whole before it goes on. */
extern struct iovec own_areas[64];
extern int own_area_count;

/* participant.c: the life of process `number`, on its own stack. */
int participant(void *number);

/* The kinds of scripts differ in the window's length, and in the last columns of an area. */
struct kind {
	unsigned long window_pages;
	int has_huge_pages;
};
extern struct kind kind;

struct script_process {
	pid_t pid;
	int alive;
};
extern struct script_process processes[MOST_PROCESSES];

extern int process_count;
/* Page tables of the first process before its first step. */
extern long tables_at_start;

/* recorder.c: runs one command in a process; its faults are added up until the next step. */
void command(int number, enum action action);
long call(int number, long system_call, long a, long b, long c, long d, long e, long f);
void end_process(int number);
void wait_for_process(void);
void fail(const char *what) __attribute__((noreturn));

/* steps.c: takes the step that a line of words describes. */
void take_step(char *line);
/* file-steps.c: the name of the object with this device and inode, as the script knows it. */
const char *object_name(const char *device, unsigned long inode);

/* observe.c */
void observe(int number);
long status_kib(int number, const char *line);
void prepare_observing(void);
