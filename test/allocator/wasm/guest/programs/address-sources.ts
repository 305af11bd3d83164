// C programs whose fault is an address, a free or a leak, and clean ones that look like it, with Memcheck's verdict of the same
// program built natively (clang -O1 -g, --leak-check=full). Each is the rest of a file that begins with sources.ts's PREAMBLE.

export interface AddressSource {
  readonly name: string;
  readonly verdict: "clean" | "invalid-read" | "invalid-write" | "invalid-free" | "leak";
  readonly body: string;
}

const source = (verdict: AddressSource["verdict"]) => (name: string, body: string) => ({ name, verdict, body });
const clean = source("clean");
const read = source("invalid-read");
const write = source("invalid-write");
const freed = source("invalid-free");
const leak = source("leak");

export const ADDRESS_SOURCES: readonly AddressSource[] = [
  read(
    "memcpy of two bytes more than the block has, within its last word",
    `int main(void) { char *a = fresh(10), *b = fresh(20); memset(a, 1, 10); memcpy(b, a, 12 + zero); sink = b[1]; free(a); free(b); return 0; }`,
  ),
  clean(
    "memcpy and memmove of all lengths, up to the block's end",
    `int main(void) { for (int n = 1; n < 40; n++) { char *a = fresh(n), *b = fresh(n); memset(a, n, n); memcpy(b, a, n + zero); memmove(a, b, n + zero); sink = a[n - 1]; free(a); free(b); } return 0; }`,
  ),
  read(
    "a list's node is read after it was freed",
    `struct node { struct node *next; int value; };
    int main(void) { struct node *head = 0; for (int i = 0; i < 9; i++) { struct node *n = fresh(sizeof *n); n->value = i; n->next = head; head = n; }
      for (struct node *n = head; n; n = n->next) { sink += n->value; free(n); } return 0; }`,
  ),
  clean(
    "a list's next is kept before the node is freed",
    `struct node { struct node *next; int value; };
    int main(void) { struct node *head = 0; for (int i = 0; i < 9; i++) { struct node *n = fresh(sizeof *n); n->value = i; n->next = head; head = n; }
      for (struct node *n = head, *next; n; n = next) { next = n->next; sink += n->value; free(n); } return 0; }`,
  ),
  read(
    "one more element than there are",
    `int main(void) { int *p = fresh(40); for (int i = 0; i < 10; i++) p[i] = i; for (int i = 0; i <= 10 + zero; i++) sink += p[i]; free(p); return 0; }`,
  ),
  read(
    "the byte in front of a block",
    `int main(void) { unsigned char *p = fresh(16); p[0] = 1; volatile unsigned char *q = p; sink = q[zero - 1]; free(p); return 0; }`,
  ),
  write(
    "a terminator that has no room",
    `NOINLINE void copy(char *to, const char *from) { while (*from) *to++ = *from++; *to = 0; }
    int main(void) { char *p = fresh(5); copy(p, "hello"); sink = p[0]; free(p); return 0; }`,
  ),
  write(
    "strcpy into a block that is too short",
    `int main(void) { char *p = fresh(10); const char *volatile text = "eleven char"; strcpy(p, text); sink = p[0]; free(p); return 0; }`,
  ),
  write(
    "memset of a byte too many",
    `int main(void) { char *p = fresh(100); memset(p, 1, 101 + zero); sink = p[3]; free(p); return 0; }`,
  ),
  read(
    "memcpy from behind the end",
    `int main(void) { char *p = fresh(64), *q = fresh(128); memset(p, 2, 64); memcpy(q, p, 72 + zero); sink = q[0]; free(p); free(q); return 0; }`,
  ),
  clean(
    "memmove within a block, both ways",
    `int main(void) { char *p = fresh(200); memset(p, 3, 200); memmove(p + 1, p, 199 + zero); memmove(p, p + 1, 199 + zero); sink = p[198]; free(p); return 0; }`,
  ),
  clean(
    "strlen, strchr, strcmp of strings that end with their blocks",
    `int main(void) { for (int n = 1; n < 40; n++) { char *p = fresh(n), *q = fresh(n); memset(p, 'a', n - 1); p[n - 1] = 0; memcpy(q, p, n);
      char *volatile r = p; sink += (int)strlen(r) + (strchr(r, 'b') != 0) + strcmp(r, q) + (memchr(r, 0, n) != 0); free(p); free(q); } return 0; }`,
  ),
  read(
    "strlen of a string without an end",
    `int main(void) { char *p = fresh(16); memset(p, 'x', 16); char *volatile q = p; sink = (int)strlen(q); free(p); return 0; }`,
  ),
  read(
    "the old pointer after realloc moved the block",
    `NOINLINE char *longer(char *p, int n) { return realloc(p, n); }
    int main(void) { char *volatile old = fresh(32); old[0] = 1; char *volatile q = longer(old, 100000); q[1] = 1; sink = old[0]; free(q); return 0; }`,
  ),
  clean(
    "an array that grows by realloc, and shrinks",
    `int main(void) { int *p = 0, capacity = 0; for (int i = 0; i < 3000; i++) { if (i == capacity) { capacity = capacity ? capacity * 2 : 4; p = realloc(p, capacity * sizeof *p); } p[i] = i; }
      p = realloc(p, 10 * sizeof *p); for (int i = 0; i < 10; i++) sink += p[i]; free(p); return 0; }`,
  ),
  write(
    "what realloc took away",
    `int main(void) { int *p = fresh(4000); p[999] = 1; p = realloc(p, 40 + zero); int *volatile q = p; q[10] = 1; sink = q[0] = 2; free(p); return 0; }`,
  ),
  freed(
    "freed twice",
    `int main(void) { char *p = fresh(24); char *volatile q = p; p[0] = 1; sink = p[0]; free(p); free(q); return 0; }`,
  ),
  freed(
    "a pointer into the middle",
    `int main(void) { char *p = fresh(64); p[0] = 1; sink = p[0]; free(p + 16 + zero); return 0; }`,
  ),
  freed(
    "a global's address",
    `static char room[64]; int main(void) { char *volatile p = room; p[8] = 1; free(p); return 0; }`,
  ),
  freed(
    "a local's address",
    `int main(void) { char room[64]; char *volatile p = room; p[8] = 1; free(p + zero); return 0; }`,
  ),
  freed(
    "realloc of what is freed",
    `int main(void) { char *p = fresh(24); char *volatile q = p; p[0] = 1; free(p); q = realloc(q, 48); free(q); return 0; }`,
  ),
  leak("a block that is forgotten", `int main(void) { char *p = fresh(100); p[0] = 1; sink = p[0]; return 0; }`),
  leak(
    "a tree whose root is lost",
    `struct tree { struct tree *left, *right; int value; };
    NOINLINE struct tree *grow(int depth) { if (depth == 0) return 0; struct tree *t = fresh(sizeof *t); t->left = grow(depth - 1); t->right = grow(depth - 1); t->value = depth; return t; }
    int main(void) { struct tree *volatile t = grow(4); sink = t->value; t = 0; char junk[256]; memset(junk, zero, sizeof junk); sink = junk[5]; return 0; }`,
  ),
  leak(
    "the pointer is overwritten by another block's",
    `int main(void) { char *p = fresh(10); p[0] = 1; sink = p[0]; p = fresh(20); p[0] = 2; sink = p[0]; free(p); return 0; }`,
  ),
  clean(
    "a table of function pointers and qsort",
    `NOINLINE int up(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
    NOINLINE int down(const void *a, const void *b) { return up(b, a); }
    static int (*const orders[])(const void *, const void *) = { up, down };
    int main(void) { int *p = fresh(400); for (int i = 0; i < 100; i++) p[i] = i * 37 % 101; for (int o = 0; o < 2; o++) qsort(p, 100, sizeof *p, orders[o + zero]); sink = p[0]; free(p); return 0; }`,
  ),
  clean(
    "alloca and arrays of variable length",
    `NOINLINE int sum(int n) { int *a = __builtin_alloca(n * sizeof *a), b[n]; for (int i = 0; i < n; i++) a[i] = b[i] = i; int s = 0; for (int i = 0; i < n; i++) s += a[i] + b[i]; return s; }
    int main(void) { for (int n = 1; n < 60; n++) sink += sum(n + zero); return 0; }`,
  ),
  clean(
    "globals keep blocks until the end, freed by atexit",
    `static char *kept; static char **table; static void finish(void) { free(kept); for (int i = 0; i < 5; i++) free(table[i]); free(table); }
    int main(void) { atexit(finish); kept = fresh(30); kept[0] = 1; table = fresh(5 * sizeof *table); for (int i = 0; i < 5; i++) { table[i] = fresh(i + 1); table[i][i] = 1; } sink = table[4][4]; finish(); kept = 0; table = calloc(5, sizeof *table); return 0; }`,
  ),
  clean(
    "aligned blocks, used to their last byte",
    `int main(void) { for (int a = 16; a <= 4096; a *= 2) { char *p = aligned_alloc(a, a * 2); void *q = 0; if (posix_memalign(&q, a, 100 + zero)) return 1; memset(p, 1, a * 2); memset(q, 1, 100);
      sink += ((uintptr_t)p | (uintptr_t)q) & (a - 1); free(p); free(q); } return 0; }`,
  ),
  write(
    "behind the end of a large block",
    `int main(void) { char *p = fresh(300000); p[0] = 1; char *volatile q = p; q[300000 + zero] = 1; sink = q[0]; free(p); return 0; }`,
  ),
  read(
    "a large block that was freed",
    `int main(void) { char *p = fresh(300000); char *volatile q = p; p[1000] = 1; free(p); sink = q[1000]; return 0; }`,
  ),
  write(
    "a structure's last field, of a block that is a field too small",
    `struct record { int64_t id; int32_t count; int32_t flags; int64_t last; };
    int main(void) { struct record *volatile r = fresh(sizeof *r - 8); r->id = 1; r->count = 2; r->last = 3; sink = (int)r->id; free(r); return 0; }`,
  ),
  clean(
    "a flexible array and a structure of odd size, copied whole",
    `struct text { uint16_t length; char bytes[]; }; struct odd { char a[7]; };
    int main(void) { struct text *t = fresh(sizeof *t + 11); t->length = 11; memcpy(t->bytes, "hello world", 11); struct odd *o = fresh(3 * sizeof *o); memset(o, 1, 3 * sizeof *o); o[2] = o[0]; sink = t->bytes[10] + o[2].a[6]; free(t); free(o); return 0; }`,
  ),
  read(
    "a field of a block that another function freed",
    `struct box { int *data; int size; }; NOINLINE void close_box(struct box *b) { free(b->data); b->size = 0; }
    int main(void) { struct box b = { fresh(40), 10 }; for (int i = 0; i < 10; i++) b.data[i] = i; int *volatile data = b.data; close_box(&b); sink = data[3]; return 0; }`,
  ),
  clean(
    "a ring of buffers that are freed and taken again",
    `int main(void) { char *ring[8] = { 0 }; for (int i = 0; i < 200; i++) { free(ring[i & 7]); ring[i & 7] = fresh(1 + i * 13 % 500); memset(ring[i & 7], i, 1 + i * 13 % 500); sink += ring[(i * 5 & 7) <= i ? i & 7 : 0][0]; } for (int i = 0; i < 8; i++) free(ring[i]); return 0; }`,
  ),
  clean(
    "strings of the library: strdup, strtok, snprintf, sscanf",
    `int main(void) { char *s = strdup("one,two;three 42"); char text[64]; int n = 0; sscanf(s + 14, "%d", &n); for (char *t = strtok(s, ",; "); t; t = strtok(0, ",; ")) sink += snprintf(text, sizeof text, "%s=%d", t, n); free(s); return 0; }`,
  ),
];
