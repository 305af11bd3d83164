// C programs and what Memcheck says of them: `clean`, `uninitialised`, `syscall` (undefined bytes given to a system call).
// Each is the rest of a file that begins with PREAMBLE. They are small, and nothing in them depends on what undefined bits happen to be.

export interface Source {
  readonly name: string;
  readonly verdict: "clean" | "uninitialised" | "syscall";
  readonly body: string;
  /** Only unoptimised: the compiler makes something defined of it. */
  readonly unoptimised?: boolean;
}

export const PREAMBLE = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <stdbool.h>
#include <unistd.h>
#define NOINLINE static __attribute__((noinline))
static volatile int zero, sink;
NOINLINE void *fresh(size_t n) { void *volatile p = malloc(n + zero); return p; }
`;

const clean = (name: string, body: string): Source => ({ name, verdict: "clean", body });
const unoptimised = (name: string, body: string): Source => ({
  name,
  verdict: "uninitialised",
  body,
  unoptimised: true,
});
const faulty = (name: string, body: string): Source => ({ name, verdict: "uninitialised", body });

export const SOURCES: readonly Source[] = [
  faulty("a word of the heap is tested", `int main(void) { int *p = fresh(4); if (*p) sink = 1; free(p); return 0; }`),
  unoptimised(
    "a local that is set on one way only",
    `NOINLINE void set(int *v, int yes) { if (yes) *v = 1; }
    int main(void) { int v; set(&v, zero); if (v) sink = 1; return 0; }`,
  ),
  unoptimised(
    "a frame that is no more",
    `NOINLINE int *of(void) { int v[8]; int *volatile p = v; for (int i = 0; i < 8; i++) p[i] = 1; return p; }
    NOINLINE void other(void) { char b[512]; volatile char *p = b; p[0] = 1; sink = p[0]; }
    int main(void) { int *volatile p = of(); other(); if (p[3]) sink = 1; return 0; }`,
  ),
  unoptimised(
    "one element of an array of the stack",
    `NOINLINE void fill(int *a, int n) { for (int i = 0; i < n; i++) a[i] = i; }
    int main(void) { int a[16]; fill(a, 15 + zero); int s = 0; for (int i = 0; i < 16; i++) if (a[i] > 100) s++; sink = s; return 0; }`,
  ),
  clean(
    "the elements that were filled",
    `NOINLINE void fill(int *a, int n) { for (int i = 0; i < n; i++) a[i] = i; }
    int main(void) { int a[16]; fill(a, 15 + zero); int s = 0; for (int i = 0; i < 15 + zero; i++) if (a[i] > 100) s++; sink = s; return 0; }`,
  ),
  faulty(
    "a switch",
    `int main(void) { int *p = fresh(4); switch (*p & 7) { case 0: sink = 1; break; case 1: sink = 5; break; case 2: puts("a"); break; case 3: sink = 9; break; case 4: puts("b"); } free(p); return 0; }`,
  ),
  faulty(
    "a loop's bound",
    `NOINLINE int sum(const unsigned char *n) { int s = 0; for (int i = 0; i < *n; i++) s += i; return s; }
    int main(void) { unsigned char *p = fresh(1); sink = sum(p); free(p); return 0; }`,
  ),
  faulty(
    "a sum of bytes, decided at the end",
    `int main(void) { unsigned char *p = fresh(64); memset(p, 1, 63); int s = 0; for (int i = 0; i < 64; i++) s += p[i]; if (s > 100) sink = 1; free(p); return 0; }`,
  ),
  clean(
    "a sum of bytes that is only stored",
    `int main(void) { unsigned char *p = fresh(64); int s = 0; for (int i = 0; i < 64; i++) s += p[i]; sink = s; free(p); return 0; }`,
  ),
  clean(
    "undefined bits are masked away",
    `int main(void) { unsigned *p = fresh(4); unsigned v = *p & 0; sink = v; if (v) sink = 1; free(p); return 0; }`,
  ),
  clean(
    "undefined bits are overwritten by or",
    `int main(void) { unsigned *p = fresh(4); unsigned v = *p | 0xffffffffu; if (v == 5) sink = 1; free(p); return 0; }`,
  ),
  clean(
    "a bit field's neighbour",
    `struct f { unsigned a : 3, b : 5, c : 24; };
    NOINLINE void set(struct f *f) { f->b = 17; }
    int main(void) { struct f *f = fresh(sizeof *f); set(f); if (f->b == 17) sink = 1; free(f); return 0; }`,
  ),
  faulty(
    "a bit field that was not set",
    `struct f { unsigned a : 3, b : 5, c : 24; };
    NOINLINE void set(struct f *f) { f->b = 17; }
    int main(void) { struct f *f = fresh(sizeof *f); set(f); if (f->a == 3) sink = 1; free(f); return 0; }`,
  ),
  clean(
    "a signed bit field",
    `struct f { int a : 7, b : 9, c : 16; };
    NOINLINE void set(struct f *f, int v) { f->b = v; }
    int main(void) { struct f *f = fresh(sizeof *f); set(f, -5); if (f->b < 0) sink = 1; free(f); return 0; }`,
  ),
  clean(
    "a struct with padding by value",
    `struct s { char c; double d; short e; };
    NOINLINE struct s make(int v) { struct s s; s.c = 1; s.d = v; s.e = 3; return s; }
    NOINLINE int use(struct s s) { return s.c + (int)s.d + s.e; }
    int main(void) { struct s s = make(zero); struct s t = s; if (use(t) == 4) puts("four"); return 0; }`,
  ),
  faulty(
    "memcmp over padding",
    `struct s { char c; int d; };
    NOINLINE struct s *make(int v) { struct s *s = fresh(sizeof *s); s->c = 1; s->d = v; return s; }
    int main(void) { struct s *a = make(zero), *b = make(zero); sink = memcmp(a, b, sizeof *a) == 0; if (sink) puts("same"); free(a); free(b); return 0; }`,
  ),
  clean(
    "memcmp that is decided before the undefined bytes",
    `int main(void) { char *a = fresh(16), *b = fresh(16); strcpy(a, "abc"); strcpy(b, "abd"); if (memcmp(a, b, 4) < 0) puts("less"); free(a); free(b); return 0; }`,
  ),
  clean(
    "strlen of a string in a larger block",
    `int main(void) { char *p = fresh(64); strcpy(p, "some text"); if (strlen(p) == 9) puts("nine"); free(p); return 0; }`,
  ),
  clean(
    "strings of every length and alignment",
    `int main(void) { int s = 0; for (int n = 0; n < 40; n++) for (int a = 0; a < 8; a++) { char *p = malloc(n + a + 1); memset(p + a, 'x', n); p[a + n] = 0; s += strlen(p + a) == (size_t)n; char *q = strdup(p + a); s += strcmp(p + a, q) == 0; s += strchr(q, 'y') == 0; s += memchr(q, 0, n + 1) == q + n; free(p); free(q); } printf("%d\\n", s); return 0; }`,
  ),
  faulty(
    "strcmp of a string without an end",
    `int main(void) { char *p = fresh(8); memcpy(p, "abcd", 4); sink = strcmp(p, "abcdefg"); if (sink) puts("other"); free(p); return 0; }`,
  ),
  faulty(
    "strcpy from unwritten bytes",
    `int main(void) { char *p = fresh(8), b[16]; p[7] = 0; strcpy(b, p); sink = b[0]; free(p); return 0; }`,
  ),
  faulty(
    "printf of an undefined number",
    `int main(void) { int *p = fresh(4); char b[32]; snprintf(b, sizeof b, "%d", *p); puts("done"); free(p); return 0; }`,
  ),
  clean(
    "printf of everything that was set",
    `int main(void) { char b[200]; snprintf(b, sizeof b, "%d %u %s %c %5.2f %g %lld %p %x %-8s|", zero - 5, 7u, "text", 'c', 1.5, 1e20, 123456789012LL, (void *)0, 255, "pad"); puts(b); return 0; }`,
  ),
  clean(
    "scanf's results",
    `int main(void) { int a, b; double d; char w[16]; if (sscanf("12 -3 4.5 word", "%d %d %lf %15s", &a, &b, &d, w) == 4 && a == 12 && b == -3 && d == 4.5 && strcmp(w, "word") == 0) puts("read"); return 0; }`,
  ),
  {
    name: "undefined bytes are written",
    verdict: "syscall",
    body: `int main(void) { char *p = fresh(16); memcpy(p, "text\\n", 5); write(1, p, 6); free(p); return 0; }`,
  },
  clean(
    "only defined bytes are written",
    `int main(void) { char *p = fresh(16); memcpy(p, "text\\n", 5); write(1, p, 5); free(p); return 0; }`,
  ),
  {
    name: "a struct with padding is written",
    verdict: "syscall",
    body: `struct s { char c; int d; };
    int main(void) { struct s *s = fresh(sizeof *s); s->c = 'a'; s->d = 0x0a0a0a0a; write(1, s, sizeof *s); free(s); return 0; }`,
  },
  faulty(
    "qsort's comparison of an element that was not set",
    `static int order(const void *a, const void *b) { return *(const int *)a < *(const int *)b ? -1 : 1; }
    int main(void) { int *p = fresh(40); for (int i = 0; i < 9; i++) p[i] = 9 - i; qsort(p, 10, 4, order); free(p); return 0; }`,
  ),
  clean(
    "qsort",
    `static int order(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
    int main(void) { int *p = fresh(400); for (int i = 0; i < 100; i++) p[i] = (i * 37) % 101; qsort(p, 100, 4, order); if (p[0] <= p[99]) puts("sorted"); free(p); return 0; }`,
  ),
  faulty(
    "a float is compared",
    `int main(void) { float *p = fresh(4); if (*p < 1.5f) puts("less"); else puts("more"); free(p); return 0; }`,
  ),
  faulty(
    "a double, through arithmetic and a conversion",
    `NOINLINE double half(double *p) { return *p * 0.5 + 1; }
    int main(void) { double *p = fresh(8); sink = 3; if ((int)half(p) == 2) sink = 1; free(p); return 0; }`,
  ),
  clean(
    "a double's other half is defined again",
    `int main(void) { double *p = fresh(16); p[0] = 1.5; p[1] = p[0] * 2; if (p[1] > 2) puts("three"); free(p); return 0; }`,
  ),
  faulty(
    "a pointer that was not set",
    `struct n { struct n *next; int v; };
    int main(void) { struct n *n = fresh(sizeof *n); n->v = 1; if (n->next) sink = 2; free(n); return 0; }`,
  ),
  faulty(
    "a flag of a struct of malloc",
    `struct s { int a, b, flag; };
    NOINLINE struct s *make(void) { struct s *s = fresh(sizeof *s); s->a = 1; s->b = 2; return s; }
    int main(void) { struct s *s = make(); if (s->flag) puts("flag"); free(s); return 0; }`,
  ),
  clean(
    "memset and calloc",
    `int main(void) { int *a = fresh(400), *b = calloc(100, 4); memset(a, 0, 400); int s = 0; for (int i = 0; i < 100; i++) s += a[i] == b[i]; if (s == 100) puts("equal"); free(a); free(b); return 0; }`,
  ),
  faulty(
    "memset of too little",
    `int main(void) { int *a = fresh(40); memset(a, 0, 36 + zero); int s = 0; for (int i = 0; i < 10; i++) if (a[i]) s++; if (s > 3) puts("more"); free(a); return 0; }`,
  ),
  faulty(
    "memmove takes undefined bytes along",
    `int main(void) { char *a = fresh(32); memset(a, 1, 16); memmove(a + 4, a, 20); if (a[23]) sink = 1; free(a); return 0; }`,
  ),
  clean(
    "memmove takes defined bytes along",
    `int main(void) { char *a = fresh(32); memset(a, 1, 16); memmove(a + 4, a, 16); if (a[19] == 1) sink = 1; free(a); return 0; }`,
  ),
  faulty(
    "through a global",
    `static int kept; NOINLINE void keep(int *p) { kept = *p; } NOINLINE int decide(void) { return kept > 5; }
    int main(void) { int *p = fresh(4); keep(p); if (decide()) puts("more"); free(p); return 0; }`,
  ),
  faulty(
    "through a struct on the stack",
    `struct s { int a, b; }; NOINLINE struct s get(int *p) { struct s s = { 1, *p }; return s; }
    int main(void) { int *p = fresh(4); struct s s = get(p); if (s.b) puts("b"); free(p); return 0; }`,
  ),
  faulty(
    "through a function pointer's argument",
    `NOINLINE int positive(int v) { return v > 0; } NOINLINE int negative(int v) { return v < 0; }
    int main(void) { int (*volatile f[2])(int) = { positive, negative }; int *p = fresh(4); if (f[zero](*p)) puts("yes"); free(p); return 0; }`,
  ),
  faulty(
    "through variable arguments",
    `#include <stdarg.h>
    NOINLINE int last(int n, ...) { va_list l; va_start(l, n); int v = 0; while (n--) v = va_arg(l, int); va_end(l); return v; }
    int main(void) { int *p = fresh(4); if (last(3, 1, 2, *p)) puts("yes"); free(p); return 0; }`,
  ),
  clean(
    "variable arguments",
    `#include <stdarg.h>
    NOINLINE int last(int n, ...) { va_list l; va_start(l, n); int v = 0; while (n--) v = va_arg(l, int); va_end(l); return v; }
    int main(void) { int *p = fresh(8); p[0] = 3; if (last(3, 1, 2, p[0]) == 3) puts("yes"); free(p); return 0; }`,
  ),
  faulty(
    "an index into a table",
    `static volatile int table[256]; int main(void) { unsigned char *p = fresh(1); sink = table[*p]; free(p); return 0; }`,
  ),
  faulty(
    "a remainder, decided",
    `int main(void) { unsigned *p = fresh(4); if (*p % 10 == 3) puts("three"); free(p); return 0; }`,
  ),
  faulty(
    "a shift's result",
    `int main(void) { unsigned *p = fresh(4); if ((*p >> 5) & 1) puts("bit"); free(p); return 0; }`,
  ),
  clean(
    "bits that a shift brought in",
    `int main(void) { unsigned *p = fresh(4); if ((*p << 8) & 0xff) puts("bit"); free(p); return 0; }`,
  ),
  faulty(
    "the sign of an undefined number",
    `int main(void) { int *p = fresh(4); if (*p < 0) puts("negative"); free(p); return 0; }`,
  ),
  clean(
    "the sign of a number whose top byte is set",
    `int main(void) { union { int v; unsigned char b[4]; } *p = fresh(4); p->b[3] = 0x80; if (p->v < 0) puts("negative"); free(p); return 0; }`,
  ),
  clean(
    "a comparison that the defined bits decide",
    `int main(void) { union { unsigned v; unsigned char b[4]; } *p = fresh(4); p->b[3] = 0x10; if (p->v < 0x20000000u) puts("less"); free(p); return 0; }`,
  ),
  faulty(
    "one that they do not",
    `int main(void) { union { unsigned v; unsigned char b[4]; } *p = fresh(4); p->b[3] = 0x10; if (p->v < 0x10000800u) puts("less"); else puts("more"); free(p); return 0; }`,
  ),
  faulty(
    "realloc's new bytes",
    `int main(void) { int *p = fresh(16); for (int i = 0; i < 4; i++) p[i] = i; p = realloc(p, 4000); if (p[500]) sink = 1; free(p); return 0; }`,
  ),
  clean(
    "realloc's old bytes",
    `int main(void) { int *p = fresh(16); for (int i = 0; i < 4; i++) p[i] = i; p = realloc(p, 400000); int s = 0; for (int i = 0; i < 4; i++) s += p[i] == i; if (s == 4) puts("kept"); free(p); return 0; }`,
  ),
  clean(
    "a large array, written and read",
    `int main(void) { int n = 100000; int *p = fresh(n * 4); for (int i = 0; i < n; i++) p[i] = i ^ 5; long s = 0; for (int i = 0; i < n; i++) s += p[i] > 50000; printf("%ld\\n", s); free(p); return 0; }`,
  ),
  clean(
    "recursion with arrays",
    `NOINLINE int depth(int n) { int a[10]; for (int i = 0; i < 10; i++) a[i] = n + i; if (n == 0) return a[9]; int below = depth(n - 1); return below + a[0]; }
    int main(void) { printf("%d\\n", depth(50)); return 0; }`,
  ),
  clean(
    "alloca and arrays of variable length",
    `NOINLINE int sum(int n) { int s = 0; for (int k = 1; k < n; k++) { int a[k]; for (int i = 0; i < k; i++) a[i] = i; for (int i = 0; i < k; i++) if (a[i] == i) s++; } return s; }
    int main(void) { printf("%d\\n", sum(20)); return 0; }`,
  ),
  clean(
    "a hash table",
    `struct e { struct e *next; char key[12]; int value; };
    static struct e *table[64]; static unsigned hash(const char *s) { unsigned h = 5381; while (*s) h = h * 33 + (unsigned char)*s++; return h % 64; }
    int main(void) { char k[12]; for (int i = 0; i < 500; i++) { snprintf(k, sizeof k, "key%d", i); struct e *e = malloc(sizeof *e); strcpy(e->key, k); e->value = i; unsigned h = hash(k); e->next = table[h]; table[h] = e; }
      int s = 0; for (int i = 0; i < 500; i++) { snprintf(k, sizeof k, "key%d", i); for (struct e *e = table[hash(k)]; e; e = e->next) if (strcmp(e->key, k) == 0) s += e->value == i; }
      printf("%d\\n", s); for (int h = 0; h < 64; h++) for (struct e *e = table[h]; e;) { struct e *n = e->next; free(e); e = n; } return 0; }`,
  ),
  clean(
    "words compared and copied by vectors",
    `NOINLINE int same(const unsigned char *a, const unsigned char *b, int n) { int d = 0; for (int i = 0; i < n; i++) d |= a[i] ^ b[i]; return d == 0; }
    NOINLINE int count(const unsigned char *a, int n) { int c = 0; for (int i = 0; i < n; i++) c += a[i] == 7; return c; }
    int main(void) { unsigned char *a = fresh(1000), *b = fresh(1000); for (int i = 0; i < 900; i++) a[i] = i; memcpy(b, a, 1000); printf("%d %d\\n", same(a, b, 900), count(a, 900)); free(a); free(b); return 0; }`,
  ),
  clean(
    "unions and type changes",
    `NOINLINE unsigned bits(float f) { unsigned u; memcpy(&u, &f, 4); return u; } NOINLINE double back(uint64_t u) { double d; memcpy(&d, &u, 8); return d; }
    int main(void) { if (bits(1.0f) == 0x3f800000u && back(0x4000000000000000u) == 2.0) puts("bits"); return 0; }`,
  ),
  clean(
    "a small struct that is copied as a word",
    `struct p { unsigned char r, g, b; }; NOINLINE struct p mix(struct p a, struct p b) { struct p c = { (a.r + b.r) / 2, (a.g + b.g) / 2, (a.b + b.b) / 2 }; return c; }
    int main(void) { struct p a[5], *b = fresh(sizeof *b * 5); for (int i = 0; i < 5; i++) { a[i].r = i; a[i].g = 2 * i; a[i].b = 3 * i; b[i] = mix(a[i], a[0]); } int s = 0; for (int i = 0; i < 5; i++) if (b[i].b > b[i].r) s++; printf("%d\\n", s); free(b); return 0; }`,
  ),
  clean(
    "optional fields behind flags",
    `struct o { unsigned char has; int value; }; NOINLINE void set(struct o *o, int has, int v) { o->has = has; if (has) o->value = v; }
    NOINLINE int both(struct o *a, struct o *b) { return a->has == b->has && (!a->has || a->value == b->value); }
    int main(void) { struct o *a = fresh(sizeof *a), *b = fresh(sizeof *b); set(a, zero, 1); set(b, zero, 2); if (both(a, b)) puts("equal"); free(a); free(b); return 0; }`,
  ),
  faulty(
    "a value is chosen by an undefined one",
    `NOINLINE int pick(int *p, int a, int b) { return *p ? a : b; } int main(void) { int *p = fresh(4); if (pick(p, 1 + zero, 2 + zero) == 1) puts("one"); free(p); return 0; }`,
  ),
  clean(
    "of two undefined values one is chosen and nothing is done",
    `NOINLINE int pick(int c, int *a, int *b) { return c ? *a : *b; } int main(void) { int *p = fresh(8); sink = pick(zero, p, p + 1); free(p); return 0; }`,
  ),
  faulty(
    "a bit field that was never set, between two that were",
    `struct f{unsigned a:5,b:11,c:16;};int main(void){struct f*p=fresh(4);p->a=3;p->c=7;if(p->b==3)sink=1;return 0;}`,
  ),
  clean(
    "bit fields around one that was never set",
    `struct f{unsigned a:5,b:11,c:16;};int main(void){struct f*p=fresh(4);p->a=3;p->c=7;if(p->a==3)sink=1;if(p->c==7)sink=2;return 0;}`,
  ),
  faulty(
    "a member of a struct that is passed by value",
    `struct s{int a,b,c,d,e;};NOINLINE int f(struct s s){return s.e>5;}int main(void){struct s*p=fresh(20);p->a=p->b=1;if(f(*p))sink=1;return 0;}`,
  ),
  faulty(
    "a struct's padding, copied by memcpy and looked at",
    `struct s{char c;int i;char d;};int main(void){struct s*p=fresh(12),*q=fresh(12);p->c=1;p->i=2;p->d=3;memcpy(q,p,12);unsigned char*b=(void*)q;if(b[2])sink=1;return 0;}`,
  ),
  clean(
    "a struct that is copied with its padding by assignment",
    `struct s{char c;int i;char d;};NOINLINE void cp(struct s*a,struct s*b){*a=*b;}int main(void){struct s*p=fresh(12),*q=fresh(12);p->c=1;p->i=2;p->d=3;cp(q,p);if(q->i==2&&q->d==3)sink=1;return 0;}`,
  ),
  faulty(
    "one element of what qsort sorts",
    `static int cmp(const void*a,const void*b){int x=*(const int*)a,y=*(const int*)b;return x<y?-1:x>y;}int main(void){int*p=fresh(80);for(int i=0;i<19;i++)p[i]=(i*7)%20;qsort(p,20,4,cmp);return 0;}`,
  ),
  clean(
    "what qsort sorts",
    `static int cmp(const void*a,const void*b){int x=*(const int*)a,y=*(const int*)b;return x<y?-1:x>y;}int main(void){int*p=fresh(80);for(int i=0;i<20;i++)p[i]=(i*7)%20;qsort(p,20,4,cmp);if(p[0]==0)sink=1;return 0;}`,
  ),
  faulty(
    "bytes of a union behind the member that was set",
    `union u{int i;unsigned char b[8];};int main(void){union u*p=fresh(8);p->i=5;if(p->b[5]==2)sink=1;return 0;}`,
  ),
  clean(
    "a union's other member",
    `union u{int i;unsigned char b[8];};int main(void){union u*p=fresh(8);p->i=0x01020304;if(p->b[2]==2)sink=1;return 0;}`,
  ),
  faulty(
    "a struct that is returned by memory",
    `struct b{int v[6];};NOINLINE struct b mk(int*p){struct b r;for(int i=0;i<6;i++)r.v[i]=p[i];return r;}int main(void){int*p=fresh(24);for(int i=0;i<5;i++)p[i]=i;struct b x=mk(p);if(((volatile int*)x.v)[5]==3)sink=1;return 0;}`,
  ),
];
