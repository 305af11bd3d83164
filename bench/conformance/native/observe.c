/*
 * The `observe` step: what smaps, pagemap, kpageflags and status say of a process's window, as the recordings' rows and pictures.
 * Frames are known to root only; for others `pages` and `folios` are left out.
 */
#define _GNU_SOURCE
#include "recorder.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An area may begin in the window and end beyond it. */
#define MOST_WINDOW_PAGES 16384
#define PM_PRESENT (1UL << 63)
#define PM_FILE (1UL << 61)
#define PM_GUARD (1UL << 58)
#define PM_EXCLUSIVE (1UL << 56)
#define PM_FRAME ((1UL << 55) - 1)
#define KPF_HEAD (1UL << 15)
#define KPF_TAIL (1UL << 16)
#define KPF_ZERO_PAGE (1UL << 24)

/* ioctl(2) PAGEMAP_SCAN, for headers that do not have it. */
struct page_region {
	uint64_t start, end, categories;
};
struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN _IOWR('f', 16, struct scan)
#define IS_HUGE (1UL << 6)

struct area {
	unsigned long start, end, offset;
	char permissions[5], object[24], vm_flags[128];
	long rss, pss, shared_clean, shared_dirty, private_clean, private_dirty, anonymous, locked, huge, shmem_huge, eligible;
};

static struct area areas[1024];
static int area_count;
static uint64_t entries[MOST_WINDOW_PAGES], flags[MOST_WINDOW_PAGES];
static unsigned char in_huge_entry[MOST_WINDOW_PAGES];
static char picture[MOST_WINDOW_PAGES], residency[MOST_WINDOW_PAGES];
static char text[1 << 20];
static int kpageflags = -1;

void prepare_observing(void)
{
	kpageflags = open("/proc/kpageflags", O_RDONLY);
}

static void read_proc(int number, const char *name)
{
	char path[64];
	size_t length = 0;
	ssize_t count;
	snprintf(path, sizeof path, "/proc/%d/%s", processes[number].pid, name);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		fail(path);
	while ((count = read(fd, text + length, sizeof text - 1 - length)) > 0)
		length += count;
	text[length] = 0;
	close(fd);
}

long status_kib(int number, const char *line)
{
	read_proc(number, "status");
	char *at = strstr(text, line);
	return at ? atol(at + strlen(line)) : 0;
}

/* Of the flags of an area those that the format knows; others depend on how a kernel was built. */
static int is_known_flag(const char *flag)
{
	return strstr("rd wr ex sh mr mw me ms gd sf lo lf ac nr dc wf rr sr dd gu hg nh", flag) != NULL;
}

static void keep_flags(struct area *area, char *line)
{
	for (char *flag = strtok(line, " \n"); flag; flag = strtok(NULL, " \n")) {
		if (!is_known_flag(flag))
			continue;
		if (area->vm_flags[0])
			strcat(area->vm_flags, " ");
		strcat(area->vm_flags, flag);
	}
}

static void read_number(struct area *area, const char *line)
{
	const struct {
		const char *name;
		long *value;
		int divisor;
	} rows[] = {
		{"Rss:", &area->rss, 4},		     {"Pss:", &area->pss, 1},
		{"Shared_Clean:", &area->shared_clean, 4},   {"Shared_Dirty:", &area->shared_dirty, 4},
		{"Private_Clean:", &area->private_clean, 4}, {"Private_Dirty:", &area->private_dirty, 4},
		{"Anonymous:", &area->anonymous, 4},	     {"Locked:", &area->locked, 1},
		{"AnonHugePages:", &area->huge, 4},	     {"ShmemPmdMapped:", &area->shmem_huge, 4},
		{"THPeligible:", &area->eligible, 1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strncmp(line, rows[i].name, strlen(rows[i].name)) == 0)
			*rows[i].value = atol(line + strlen(rows[i].name)) / rows[i].divisor;
}

static void read_areas(int number)
{
	char *rest = NULL;
	struct area *area = NULL;
	area_count = 0;
	read_proc(number, "smaps");
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		unsigned long start, end, offset, inode;
		char permissions[8], device[16];
		if (sscanf(line, "%lx-%lx %7s %lx %15s %lu", &start, &end, permissions, &offset, device, &inode) == 6) {
			area = NULL;
			if (start < WINDOW || start >= WINDOW + kind.window_pages * PAGE)
				continue;
			if (area_count == 1024)
				fail("more areas than fit");
			area = &areas[area_count++];
			memset(area, 0, sizeof *area);
			area->start = start;
			area->end = end;
			area->offset = offset;
			memcpy(area->permissions, permissions, 4);
			if (inode != 0)
				snprintf(area->object, sizeof area->object, "%s", object_name(device, inode));
		} else if (area && strncmp(line, "VmFlags:", 8) == 0)
			keep_flags(area, line + 8);
		else if (area)
			read_number(area, line);
	}
}

static void print_areas(void)
{
	printf("{\"vmas\":[");
	for (int i = 0; i < area_count; i++) {
		struct area *a = &areas[i];
		printf("%s[%ld,%ld,\"%s\",\"%s\",%lu,%ld,%ld,%ld,%ld,%ld,%ld,%ld,%ld,\"%s\"", i ? "," : "",
		       (long)(a->start - WINDOW) / (long)PAGE, (long)(a->end - WINDOW) / (long)PAGE, a->permissions, a->object,
		       a->offset / PAGE, a->rss, a->pss, a->shared_clean, a->shared_dirty, a->private_clean, a->private_dirty,
		       a->anonymous, a->locked, a->vm_flags);
		if (kind.has_huge_pages)
			printf(",%ld,%ld,%ld", a->huge, a->shmem_huge, a->eligible);
		printf("]");
	}
	printf("]");
}

/* kpageflags of each present page; frames in a row are read together. */
static void read_flags(unsigned long pages)
{
	for (unsigned long i = 0; i < pages;) {
		unsigned long n = 1, frame = entries[i] & PM_FRAME;
		flags[i] = 0;
		if (!(entries[i] & PM_PRESENT)) {
			i++;
			continue;
		}
		while (i + n < pages && (entries[i + n] & PM_PRESENT) && (entries[i + n] & PM_FRAME) == frame + n)
			n++;
		if (pread(kpageflags, &flags[i], n * 8, frame * 8) != (ssize_t)(n * 8))
			fail("/proc/kpageflags");
		i += n;
	}
}

static void read_huge_entries(int pagemap, unsigned long pages)
{
	static struct page_region regions[MOST_WINDOW_PAGES / 512 + 1];
	struct scan scan = {.size = sizeof scan, .start = WINDOW, .end = WINDOW + pages * PAGE, .vec = (uint64_t)regions};
	scan.vec_len = sizeof regions / sizeof *regions;
	scan.category_mask = scan.return_mask = IS_HUGE;
	memset(in_huge_entry, 0, sizeof in_huge_entry);
	int count = ioctl(pagemap, SCAN, &scan);
	for (int i = 0; i < count; i++)
		for (unsigned long at = regions[i].start; at < regions[i].end; at += PAGE)
			in_huge_entry[(at - WINDOW) / PAGE] = 1;
}

static char letter_of(unsigned long page)
{
	uint64_t entry = entries[page];
	if (entry & PM_GUARD)
		return 'G';
	if (!(entry & PM_PRESENT))
		return '.';
	if (flags[page] & KPF_ZERO_PAGE)
		return in_huge_entry[page] ? 'Z' : 'z';
	int size = in_huge_entry[page] ? 0 : (flags[page] & (KPF_HEAD | KPF_TAIL)) ? 1 : 2;
	char letter = ((entry & PM_FILE) ? "SMF" : "HLA")[size];
	return (entry & PM_EXCLUSIVE) ? letter : letter + 'a' - 'A';
}

/* The head and the size of the folio that a frame is part of. */
static void find_folio(uint64_t frame, uint64_t *head, unsigned *size)
{
	uint64_t word;
	if (frame >= *head && frame < *head + *size)
		return;
	for (*head = frame; pread(kpageflags, &word, 8, *head * 8) == 8 && (word & KPF_TAIL); --*head)
		;
	for (*size = 1; pread(kpageflags, &word, 8, (*head + *size) * 8) == 8 && (word & KPF_TAIL); ++*size)
		;
}

struct folio_row {
	unsigned page, n, id, index, size;
};

/* Whole folios of one size in a row, with ascending numbers, are one row. */
static int join(struct folio_row *last, const struct folio_row *next)
{
	if (last->index != 0 || next->index != 0 || last->n % last->size != 0 || next->n % next->size != 0)
		return 0;
	if (last->page + last->n != next->page || last->size != next->size || last->id + last->n / last->size != next->id)
		return 0;
	last->n += next->n;
	return 1;
}

static void print_folios(unsigned long pages)
{
	static uint64_t heads[MOST_WINDOW_PAGES];
	static struct folio_row rows[MOST_WINDOW_PAGES];
	unsigned count = 0, ids = 0, kept = 0, size = 0;
	uint64_t head = 0;
	for (unsigned long page = 0; page < pages; page++) {
		if (!strchr("LlMm", picture[page]))
			continue;
		uint64_t frame = entries[page] & PM_FRAME;
		unsigned id = 0;
		find_folio(frame, &head, &size);
		while (id < ids && heads[id] != head)
			id++;
		if (id == ids)
			heads[ids++] = head;
		struct folio_row *last = count > 0 ? &rows[count - 1] : NULL;
		if (last && last->id == id && last->page + last->n == page && last->index + last->n == frame - head)
			last->n++;
		else
			rows[count++] = (struct folio_row){page, 1, id, frame - head, size};
	}
	if (count == 0)
		return;
	for (unsigned i = 1; i < count; i++)
		if (!join(&rows[kept], &rows[i]))
			rows[++kept] = rows[i];
	printf(",\"folios\":[");
	for (unsigned i = 0; i <= kept; i++)
		printf("%s[%u,%u,%u,%u,%u]", i ? "," : "", rows[i].page, rows[i].n, rows[i].id, rows[i].index, rows[i].size);
	printf("]");
}

static void print_picture(const char *name, const char *letters, unsigned long pages)
{
	printf(",\"%s\":\"", name);
	for (unsigned long from = 0, to; from < pages; from = to) {
		for (to = from + 1; to < pages && letters[to] == letters[from]; to++)
			;
		if (to - from > 1)
			printf("%lu", to - from);
		printf("%c", letters[from]);
	}
	printf("\"");
}

static void draw(int number, unsigned long pages)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/pagemap", processes[number].pid);
	int pagemap = open(path, O_RDONLY);
	if (pagemap < 0 || pread(pagemap, entries, pages * 8, WINDOW / PAGE * 8) != (ssize_t)(pages * 8))
		fail(path);
	read_huge_entries(pagemap, pages);
	close(pagemap);
	read_flags(pages);
	memset(picture, '-', pages);
	for (int i = 0; i < area_count; i++)
		for (unsigned long at = areas[i].start; at < areas[i].end; at += PAGE)
			picture[(at - WINDOW) / PAGE] = letter_of((at - WINDOW) / PAGE);
	print_picture("pages", picture, pages);
}

static void draw_residency(int number, unsigned long pages)
{
	memset(residency, '-', pages);
	for (int i = 0; i < area_count; i++) {
		unsigned long first = (areas[i].start - WINDOW) / PAGE, length = areas[i].end - areas[i].start;
		call(number, SYS_mincore, areas[i].start, length, (long)shared->buffer, 0, 0, 0);
		for (unsigned long page = 0; page < length / PAGE; page++)
			residency[first + page] = (shared->buffer[page] & 1) ? 'R' : '.';
	}
	print_picture("mincore", residency, pages);
}

void observe(int number)
{
	read_areas(number);
	unsigned long pages = area_count > 0 ? (areas[area_count - 1].end - WINDOW) / PAGE : 0;
	if (pages > MOST_WINDOW_PAGES)
		fail("an area ends far beyond the window");
	print_areas();
	if (kpageflags >= 0)
		draw(number, pages);
	draw_residency(number, pages);
	if (kpageflags >= 0)
		print_folios(pages < kind.window_pages ? pages : kind.window_pages);
	printf(",\"lck\":%ld,\"pt\":%ld}\n", status_kib(number, "VmLck:") / 4,
	       number == 0 ? status_kib(number, "VmPTE:") / 4 - tables_at_start : -1);
}
