/*
 * The microbenchmark on the real kernel of this machine: map, fill or not, touch, unmap.
 * One run a process; prints "nanoseconds ru_maxrss_kib". The reference-page rows need a kernel that no machine runs.
 *
 * Usage: microbench MMAP_SIZE TOUCH_SIZE ITERATIONS [memset]
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

enum { PATTERN_BYTE = 0xaa, PAGE_BYTES = 4096 };

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 1;
	size_t mmap_size = strtoul(argv[1], NULL, 10);
	size_t touch_size = strtoul(argv[2], NULL, 10);
	unsigned long iterations = strtoul(argv[3], NULL, 10);
	int use_memset = argc > 4;
	struct rusage usage;
	long long start = now_ns();

	for (unsigned long i = 0; i != iterations; i++) {
		volatile char *p = mmap(NULL, mmap_size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return 2;
		if (use_memset)
			memset((char *)p, PATTERN_BYTE, mmap_size);
		for (size_t j = 0; j < touch_size; j += PAGE_BYTES)
			p[j] = 0;
		munmap((char *)p, mmap_size);
	}
	long long end = now_ns();

	getrusage(RUSAGE_SELF, &usage);
	printf("%lld %ld\n", end - start, usage.ru_maxrss);
	return 0;
}
