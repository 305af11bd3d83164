/*
 * Runs a program and writes what the kernel says of it into a file: peak resident memory in KiB, and microseconds of
 * processor time of it and its children.
 *
 * Usage: peak FILE PROGRAM [ARGUMENT...]
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long long microseconds(struct timeval time)
{
	return time.tv_sec * 1000000LL + time.tv_usec;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int status;

	if (argc < 3)
		return 2;
	pid_t child = fork();

	if (child == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &usage) != child)
		return 2;
	FILE *file = fopen(argv[1], "w");

	if (file == NULL)
		return 2;
	fprintf(file, "%ld %lld\n", usage.ru_maxrss,
		microseconds(usage.ru_utime) + microseconds(usage.ru_stime));
	if (fclose(file) != 0)
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
