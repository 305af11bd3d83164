/*
 * The words of a step, and the answer as JSON. Which steps there are is decided in steps.c and file-steps.c.
 */
#define _GNU_SOURCE
#include "steps.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_KEPT 32
#define MOST_WORDS 300

/* Mappings that the kernel placed and the script names. */
static struct {
	char name[32];
	unsigned long address;
} kept[MOST_KEPT];
static int kept_count;
static char *words[MOST_WORDS];
static int word_count;

void keep_address(const char *name, unsigned long address)
{
	int i = 0;
	while (i < kept_count && strcmp(kept[i].name, name) != 0)
		i++;
	if (i == MOST_KEPT)
		fail("more kept mappings than fit");
	snprintf(kept[i].name, sizeof kept[i].name, "%s", name);
	kept[i].address = address;
	kept_count += i == kept_count;
}

/* Words of the step, read one after another. */
static int next_word;

void read_words(char *line)
{
	char *rest = NULL;
	word_count = next_word = 0;
	for (char *at = strtok_r(line, " \n", &rest); at && word_count < MOST_WORDS; at = strtok_r(NULL, " \n", &rest))
		words[word_count++] = at;
}

const char *word(void)
{
	if (next_word >= word_count)
		fail("a step lacks an argument");
	return words[next_word++];
}

long number(void)
{
	const char *text = word();
	return text[0] == '-' ? strtol(text, NULL, 10) : (long)strtoul(text, NULL, 10);
}

/* `10` from the window's base, `0x10` absolute, `$A+10` in a kept mapping. */
unsigned long address(void)
{
	const char *text = word();
	if (strncmp(text, "0x", 2) == 0)
		return strtoul(text, NULL, 16);
	if (text[0] != '$')
		return WINDOW + strtol(text, NULL, 10);
	size_t length = strcspn(text, "+-");
	for (int i = 0; i < kept_count; i++)
		if (strlen(kept[i].name) == length - 1 && strncmp(kept[i].name, text + 1, length - 1) == 0)
			return kept[i].address + strtol(text + length, NULL, 10);
	fail("no such kept mapping");
}

void print_result(int has_done)
{
	if (shared->signal != 0) {
		const char *code = shared->signal == SIGBUS    ? "BUS_ADRERR"
				   : shared->code == SEGV_MAPERR ? "SEGV_MAPERR"
				   : shared->code == SEGV_ACCERR ? "SEGV_ACCERR"
								 : "SI_KERNEL";
		printf("{\"sig\":\"%s\",\"code\":\"%s\",\"at\":%ld", shared->signal == SIGBUS ? "SIGBUS" : "SIGSEGV", code,
		       (long)(shared->at - WINDOW));
		if (has_done)
			printf(",\"done\":%ld", shared->done);
	} else if (shared->ret < 0 && shared->ret > -4096)
		printf("{\"err\":\"%s\"", strerrorname_np(-shared->ret));
	else
		printf("{\"ret\":%ld", shared->ret);
}

void end_answer(void)
{
	if (shared->faults > 0)
		printf(",\"flt\":%ld", shared->faults);
	printf("}\n");
}

void print_runs(const char *name, int comma)
{
	if (shared->run_count == MOST_RUNS)
		fail("more runs than fit");
	printf("%s\"%s\":[", comma ? "," : "{", name);
	for (unsigned i = 0; i < shared->run_count; i++)
		printf("%s[%d,%u]", i ? "," : "", shared->runs[i].value, shared->runs[i].count);
	printf("]");
}

void print_bytes(long count)
{
	printf(",\"data\":[");
	for (long from = 0, to; from < count; from = to) {
		for (to = from + 1; to < count && shared->buffer[to] == shared->buffer[from]; to++)
			;
		printf("%s[%d,%ld]", from ? "," : "", shared->buffer[from], to - from);
	}
	printf("]");
}

void plain(int p, long system_call, long a, long b, long c, long d, long e, long f)
{
	call(p, system_call, a, b, c, d, e, f);
	print_result(0);
	end_answer();
}
