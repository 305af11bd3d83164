/*
 * What steps read and print (words.c), and what those on files share with the others (file-steps.c).
 */
#pragma once
#include "recorder.h"
#include <sys/resource.h>

void read_words(char *line);
const char *word(void);
long number(void);
/* `10` from the window's base, `0x10` absolute, `$A+10` in a kept mapping. */
unsigned long address(void);
void keep_address(const char *name, unsigned long address);

/* Opens the answer, by what the last command came to; `done` goes along with a signal if the step has one. */
void print_result(int has_done);
void print_runs(const char *name, int comma);
/* The first bytes of the recorder's buffer, as `data`. */
void print_bytes(long count);
void end_answer(void);
/* A system call whose result is the answer. */
void plain(int p, long system_call, long a, long b, long c, long d, long e, long f);

/* `h2`, `bad`, `pipe` or a number; a pipe is closed after the step, by done_with(). */
int descriptor(int p, int *handle);
void done_with(int p, int handle);
void inherit_descriptors(int child, int parent);
/* @returns whether `op` is a step on files or pipes, which is taken then */
int step_file(int p, const char *op);

/* steps.c: the soft limit of a process. */
void limit(int p, int which, rlim_t soft);
rlim_t limit_of(int p, int which);
