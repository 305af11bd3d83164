// More C programs as in sources.ts, of kinds that are met in the field: parsers, tables, codecs, queues, numbers, dates, the C library.
// Memcheck's verdict is that of Valgrind 3.19 on the same program built natively at each level.
import type { Source } from "./sources.ts";

export const FIELD_SOURCES: readonly Source[] = [
  {
    name: "tokens of which only some have a length",
    verdict: "uninitialised",
    body: `enum { NUM, ID, PUN };
    struct tok { int kind; int len; const char *at; double value; };
    NOINLINE int next(const char **s, struct tok *t) {
      while (**s == ' ') ++*s;
      if (!**s) return 0;
      t->at = *s;
      if (**s >= '0' && **s <= '9') { t->kind = NUM; t->value = strtod(*s, (char **)s); t->len = *s - t->at; return 1; }
      if ((**s | 32) >= 'a' && (**s | 32) <= 'z') { t->kind = ID; while ((**s | 32) >= 'a' && (**s | 32) <= 'z') ++*s; t->len = *s - t->at; return 1; }
      t->kind = PUN; ++*s; return 1;
    }
    int main(void) { const char *s = "x1 = 3.25 + y * 12;"; struct tok *t = fresh(sizeof *t * 16); int n = 0; while (next(&s, &t[n])) n++;
      int sum = 0; for (int i = 0; i < n; i++) sum += t[i].len; if (sum > 9) puts("long"); else puts("short"); free(t); return 0; }`,
  },
  {
    name: "a tokeniser that looks at what each kind of token has",
    verdict: "clean",
    body: `enum { NUM, ID, PUN };
    struct tok { int kind; int len; const char *at; double value; };
    NOINLINE int next(const char **s, struct tok *t) {
      while (**s == ' ') ++*s;
      if (!**s) return 0;
      t->at = *s;
      if (**s >= '0' && **s <= '9') { t->kind = NUM; t->value = strtod(*s, (char **)s); t->len = *s - t->at; return 1; }
      if ((**s | 32) >= 'a' && (**s | 32) <= 'z') { t->kind = ID; while ((**s | 32) >= 'a' && (**s | 32) <= 'z') ++*s; t->len = *s - t->at; return 1; }
      t->kind = PUN; ++*s; return 1;
    }
    int main(void) { const char *s = "x1 = 3.25 + y * 12;"; struct tok *t = fresh(sizeof *t * 16); int n = 0; while (next(&s, &t[n])) n++;
      int sum = 0; double d = 0; for (int i = 0; i < n; i++) { if (t[i].kind != PUN) sum += t[i].len; if (t[i].kind == NUM) d += t[i].value; } if (sum > 9) puts("long"); printf("%g %d\\n", d, sum); free(t); return 0; }`,
  },
  {
    name: "a table of checksums is indexed by unwritten bytes",
    verdict: "uninitialised",
    body: `static uint32_t T[256];
    NOINLINE uint32_t crc(const uint8_t *p, size_t n) { uint32_t c = ~0u; for (size_t i = 0; i < n; i++) c = T[(c ^ p[i]) & 255] ^ c >> 8; return ~c; }
    int main(void) { for (int i = 0; i < 256; i++) { uint32_t c = i; for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1; T[i] = c; }
     uint8_t *p = fresh(64); memset(p, 1, 60); sink = crc(p, 64); free(p); return 0; }`,
  },
  {
    name: "base64 that takes two bytes too many along",
    verdict: "uninitialised",
    body: `static const char T[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    NOINLINE char *enc(const unsigned char *p, size_t n) { char *o = fresh((n + 2) / 3 * 4 + 1), *q = o;
      for (size_t i = 0; i < n; i += 3) { unsigned v = p[i] << 16 | p[i + 1] << 8 | p[i + 2];
        *q++ = T[v >> 18]; *q++ = T[v >> 12 & 63]; *q++ = T[v >> 6 & 63]; *q++ = T[v & 63]; } *q = 0; return o; }
    int main(void) { unsigned char *b = fresh(100); for (int i = 0; i < 10; i++) b[i] = i * 7; char *e = enc(b, 10); puts(e); free(e); free(b); return 0; }`,
  },
  {
    name: "a hash table whose entries were never marked as free",
    verdict: "uninitialised",
    body: `struct ent { char key[12]; int value; bool used; };
    struct map { struct ent *e; unsigned cap, n; };
    NOINLINE unsigned h(const char *s) { unsigned v = 5381; while (*s) v = v * 33 + (unsigned char)*s++; return v; }
    NOINLINE void put(struct map *m, const char *k, int v) { unsigned i = h(k) & (m->cap - 1); for (int t = 0; t < 8 && m->e[i].used; t++) i = (i + 1) & (m->cap - 1); strcpy(m->e[i].key, k); m->e[i].used = true; m->n++; m->e[i].value = v; }
    int main(void) { struct map m = { fresh(64 * sizeof(struct ent)), 64, 0 }; put(&m, "k", 1); free(m.e); return 0; }`,
  },
  {
    name: "the lower half of a matrix of which the upper one was filled",
    verdict: "uninitialised",
    body: `int main(void) { int n = 8; float *a = fresh(n * n * 4); for (int i = 0; i < n; i++) for (int j = i; j < n; j++) a[i * n + j] = i + j; float s = 0; for (int i = 1; i < n; i++) s += a[i * n + i - 1]; if (s < 3) sink = 1; free(a); return 0; }`,
  },
  {
    name: "a union is read by a longer member than was set",
    verdict: "uninitialised",
    body: `struct val { uint8_t tag; union { int8_t i8; int32_t i32; double d; } u; };
    int main(void) { struct val *v = fresh(sizeof *v); v->tag = 1; v->u.i8 = 3; if (v->tag == 1 && v->u.i32 > 1000) sink = 1; free(v); return 0; }`,
  },
  {
    name: "two bit fields of three are compared",
    verdict: "clean",
    body: `struct f { unsigned kind : 4, flags : 4, len : 24; };
    NOINLINE int eq(struct f *x, struct f *y) { return x->kind == y->kind && x->len == y->len; }
    int main(void) { struct f *a = fresh(4), *b = fresh(4); a->kind = b->kind = 3; a->len = 1000; b->len = 1000; if (eq(a, b)) puts("same"); free(a); free(b); return 0; }`,
  },
  {
    name: "all bit fields are compared, of which one was not set",
    verdict: "uninitialised",
    body: `struct f { unsigned kind : 4, flags : 4, len : 24; };
    NOINLINE int eq(struct f *x, struct f *y) { return x->kind == y->kind && x->flags == y->flags && x->len == y->len; }
    int main(void) { struct f *a = fresh(4), *b = fresh(4); a->kind = b->kind = 3; a->len = 1000; b->len = 1000; if (eq(a, b)) puts("same"); free(a); free(b); return 0; }`,
  },
  {
    name: "a key for bsearch of which one member was not set",
    verdict: "uninitialised",
    body: `struct p { char tag; short id; double w; };
    static int by(const void *a, const void *b) { const struct p *x = a, *y = b; if (x->w != y->w) return x->w < y->w ? -1 : 1; return x->id - y->id; }
    int main(void) { struct p v[8]; for (int i = 0; i < 8; i++) { v[i].tag = 'a'; v[i].id = i; v[i].w = i / 3; } struct p *k = fresh(sizeof *k); k->w = 1; struct p *f = bsearch(k, v, 8, sizeof *v, by); sink = f != 0; free(k); return 0; }`,
  },
  {
    name: "structs with holes are sorted and found by two members",
    verdict: "clean",
    body: `struct p { char tag; short id; double w; };
    static int by(const void *a, const void *b) { const struct p *x = a, *y = b; if (x->w < y->w) return -1; if (x->w > y->w) return 1; return x->id - y->id; }
    int main(void) { struct p *v = fresh(40 * sizeof *v); for (int i = 0; i < 40; i++) { v[i].tag = 'a' + i % 26; v[i].id = i; v[i].w = (i * 37) % 11; } qsort(v, 40, sizeof *v, by); for (int i = 1; i < 40; i++) if (by(v + i - 1, v + i) > 0) puts("wrong"); struct p k = { 0, 5, 0 }; k.w = (5 * 37) % 11; struct p *f = bsearch(&k, v, 40, sizeof *v, by); printf("%c\\n", f ? f->tag : '-'); free(v); return 0; }`,
  },
  {
    name: "bytes that a shorter realloc dropped and a longer one brought back",
    verdict: "uninitialised",
    body: `int main(void) { char *p = fresh(100); memset(p, 1, 100); p = realloc(p, 10); p = realloc(p, 100); if (p[50]) sink = 1; free(p); return 0; }`,
  },
  {
    name: "every second element of an array of variable length",
    verdict: "uninitialised",
    unoptimised: true,
    body: `NOINLINE int f(int n) { int v[n]; for (int i = 0; i < n; i += 2) v[i] = i; int s = 0; for (int i = 0; i < n; i++) if (v[i] > 1000) s++; return s; }
    int main(void) { sink = f(9 + zero); return 0; }`,
  },
  {
    name: "the last byte of what alloca gave",
    verdict: "uninitialised",
    body: `#include <alloca.h>
    NOINLINE int f(int n) { char *a = alloca(n); for (int i = 0; i < n - 1; i++) a[i] = i; int s = 0; for (int i = 0; i < n; i++) s += a[i]; return s; }
    int main(void) { if (f(20 + zero) > 3) sink = 1; return 0; }`,
  },
  {
    name: "a state machine whose counter was never set",
    verdict: "uninitialised",
    body: `enum { S0, S1, S2, S3 }; struct m { uint8_t state; uint16_t count; char buf[16]; };
    NOINLINE void feed(struct m *m, char c) { switch (m->state) { case S0: if (c == '"') m->state = S1; break; case S1: if (c == '"') m->state = S3; else m->buf[m->count++ & 15] = c; break; } }
    int main(void) { struct m *m = fresh(sizeof *m); m->state = S0; for (const char *s = " \\"ab\\" "; *s; s++) feed(m, *s); sink = m->state; free(m); return 0; }`,
  },
  {
    name: "a struct whose value is set with its code only, and used without it",
    verdict: "uninitialised",
    body: `struct r { int code; int value; int more[3]; };
    NOINLINE void fill(struct r *r, int k) { r->code = k > 3; if (r->code) r->value = k * 2; }
    int main(void) { struct r *r = fresh(sizeof *r); fill(r, 1); struct r c = *r; if (c.value > 10) sink = 1; free(r); return 0; }`,
  },
  {
    name: "values that only some have, loaded before their flags are looked at",
    verdict: "clean",
    body: `struct opt { bool has; int v; }; NOINLINE int get(const struct opt *o, int d) { return o->has ? o->v : d; }
    NOINLINE struct opt find(int k) { struct opt o = { .has = false }; if (k & 1) { o.has = true; o.v = k; } return o; }
    int main(void) { int s = 0; struct opt *o = fresh(8 * sizeof *o); for (int i = 0; i < 8; i++) { o[i].has = i & 1; if (i & 1) o[i].v = i; } for (int i = 0; i < 8; i++) s += get(o + i, 100); for (int i = 0; i < 8; i++) { struct opt f = find(i + zero); s += f.has && f.v > 3 ? f.v : 1; } if (s > 0) printf("%d\\n", s); free(o); return 0; }`,
  },
  {
    name: "a double of which one word was set",
    verdict: "uninitialised",
    body: `int main(void) { double *p = fresh(8); ((uint32_t *)p)[1] = 0x40080000; if (*p > 2.5) sink = 1; free(p); return 0; }`,
  },
  {
    name: "an undefined argument, by a table of functions",
    verdict: "uninitialised",
    body: `typedef int (*fn)(int, int); static int pick(int a, int b) { return a ? b : 0; } static int other(int a, int b) { return b; } static fn table[2] = { pick, other };
    int main(void) { int *p = fresh(8); p[0] = 1; if (table[zero](p[0], p[1]) == 77) sink = 1; free(p); return 0; }`,
  },
  {
    name: "an undefined argument that its function does not look at",
    verdict: "clean",
    body: `typedef int (*fn)(int, int); static int pick(int a, int b) { return a ? b : 0; } static int other(int a, int b) { return b; } static fn table[2] = { pick, other };
    int main(void) { int *p = fresh(8); p[1] = 1; if (table[1 - zero](p[0], p[1]) == 1) puts("1"); free(p); return 0; }`,
  },
  {
    name: "a factorial of many digits",
    verdict: "clean",
    body: `NOINLINE int mul(uint32_t *d, int n, uint32_t m) { uint64_t c = 0; for (int i = 0; i < n; i++) { c += (uint64_t)d[i] * m; d[i] = c; c >>= 32; } if (c) d[n++] = c; return n; }
    int main(void) { uint32_t *d = fresh(400); d[0] = 1; int n = 1; for (int i = 2; i < 60; i++) n = mul(d, n, i); int bits = n * 32 - __builtin_clz(d[n - 1]); printf("%d %x\\n", bits, d[0] ^ d[n - 1]); free(d); return 0; }`,
  },
  {
    name: "a zero byte is looked for in a word, and is there before the undefined bytes",
    verdict: "clean",
    body: `NOINLINE int has0(uint32_t w) { return ((w - 0x01010101) & ~w & 0x80808080) != 0; }
    int main(void) { char *p = fresh(16); strcpy(p, "ab"); uint32_t w; memcpy(&w, p, 4); if (has0(w)) puts("zero"); free(p); return 0; }`,
  },
  {
    name: "four bytes are averaged together, of which one is undefined",
    verdict: "clean",
    body: `NOINLINE uint32_t avg(uint32_t a, uint32_t b) { return (a & b) + (((a ^ b) & 0xfefefefe) >> 1); }
    int main(void) { struct { uint8_t r, g, b, a; } *p = fresh(8); for (int i = 0; i < 2; i++) p[i].r = 10 + i * 20, p[i].g = 50, p[i].b = 4; uint32_t x, y; memcpy(&x, p, 4); memcpy(&y, p + 1, 4); uint32_t m = avg(x, y); if ((m & 255) == 20 && (m >> 8 & 255) == 50) puts("avg"); free(p); return 0; }`,
  },
  {
    name: "structs in structs, returned, assigned and swapped with their holes",
    verdict: "clean",
    body: `struct in { char c; int i; short s; }; struct out { struct in a; double d; char t[3]; struct in b; };
    NOINLINE struct out make(int n) { struct out o; o.a.c = n; o.a.i = n * 2; o.a.s = 3; o.d = n; o.t[0] = 'x'; o.t[1] = 0; o.t[2] = 1; o.b = o.a; return o; }
    NOINLINE int same(struct out x, struct out y) { return x.a.c == y.a.c && x.a.i == y.a.i && x.a.s == y.a.s && x.d == y.d && x.t[0] == y.t[0] && x.b.c == y.b.c && x.b.i == y.b.i; }
    int main(void) { struct out *v = fresh(4 * sizeof *v); for (int i = 0; i < 4; i++) v[i] = make(i & 1); if (same(v[0], v[2]) && !same(v[0], v[1])) puts("ok"); struct out t = v[1]; v[1] = v[2]; v[2] = t; printf("%d\\n", v[1].b.i); free(v); return 0; }`,
  },
  {
    name: "a tagged union of numbers, points and text, copied whole",
    verdict: "clean",
    body: `struct val { uint8_t tag; union { int8_t i8; int32_t i32; double d; struct { uint16_t x, y; } p; char s[8]; } u; };
    NOINLINE double num(const struct val *v) { switch (v->tag) { case 0: return v->u.i8; case 1: return v->u.i32; case 2: return v->u.d; case 3: return v->u.p.x * v->u.p.y; default: return strlen(v->u.s); } }
    int main(void) { struct val *v = fresh(5 * sizeof *v); v[0].tag = 0; v[0].u.i8 = -3; v[1].tag = 1; v[1].u.i32 = 70000; v[2].tag = 2; v[2].u.d = 2.5; v[3].tag = 3; v[3].u.p.x = 3; v[3].u.p.y = 4; v[4].tag = 4; strcpy(v[4].u.s, "abc"); double s = 0; for (int i = 0; i < 5; i++) { struct val c = v[i]; s += num(&c); } if (s > 10) printf("%g\\n", s); free(v); return 0; }`,
  },
  {
    name: "conditions over members, joined",
    verdict: "clean",
    body: `struct o { int a, b; bool c, d; short e; };
    NOINLINE int t(const struct o *o) { return o->c && o->a == 3 && o->b == 4 && !o->d; }
    NOINLINE int u(const struct o *o) { return (o->a == 3) & (o->e == 4); }
    int main(void) { struct o *o = fresh(4 * sizeof *o); o[0].c = false; o[1].c = true; o[1].a = 4; o[2].c = true; o[2].a = 3; o[2].b = 4; o[2].d = false; o[2].e = 4; int n = 0; for (int i = 0; i < 3; i++) n += t(o + i); printf("%d %d\\n", n, u(o + 2)); free(o); return 0; }`,
  },
  {
    name: "the string functions, at every length and alignment",
    verdict: "clean",
    body: `int main(void) { int n = 0; for (int len = 0; len < 40; len++) for (int off = 0; off < 8; off++) { char *s = fresh(off + len + 1); memset(s + off, 'a' + len % 20, len); s[off + len] = 0; char *t = s + off; n += strlen(t); n += strchr(t, 'z') != 0; n += strnlen(t, 50); n += memchr(t, 'b', len + 1) != 0; n += strspn(t, "abc"); n += strcspn(t, "d"); char *d = strdup(t); n += strcmp(t, d); n += strncmp(t, d, len + 5); char *c = fresh(len + 1); n += strcpy(c, d) == c; n += stpcpy(c, d) == c + len; n += strstr(t, "ccc") != 0; n += strrchr(t, 'c') != 0; char *e = fresh(len + 3); strncpy(e, t, len + 3); n += e[len + 2]; memmove(e + 1, e, len + 1); n += e[0]; free(d); free(c); free(e); free(s); } printf("%d\\n", n); return 0; }`,
  },
  {
    name: "sscanf of everything",
    verdict: "clean",
    body: `int main(void) { int a, b; char w[20], c[4]; double d; float f; long long l; int n = sscanf("12 word 3.5 0x1f abc 77 2.5", "%d %19s %lf %i %3c %lld %f", &a, w, &d, &b, c, &l, &f); printf("%d %d %s %g %d %.3s %lld %g\\n", n, a, w, d, b, c, l, f); int m; if (sscanf("q", "%d", &m) == 1) printf("%d", m); if (sscanf("x=5;y=6", "x=%d;y=%n", &a, &b) == 1) printf("%d %d\\n", a, b); char set[16]; sscanf("hello123", "%[a-z]%d", set, &a); puts(set); return 0; }`,
  },
  {
    name: "text to numbers",
    verdict: "clean",
    body: `int main(void) { char *s = strdup("3.25e2 -0x1p4 nan inf 017 0xff 99999999999999999999"); char *e = s; for (int i = 0; i < 4; i++) { double d = strtod(e, &e); printf("%g ", d); } printf("%ld ", strtol(e, &e, 0)); printf("%ld ", strtol(e, &e, 16)); printf("%lld\\n", strtoll(e, &e, 10)); float f = strtof("1.5", 0); printf("%d %g\\n", atoi(" 42"), f); free(s); return 0; }`,
  },
  {
    name: "dates to text and back",
    verdict: "clean",
    body: `#include <time.h>
    int main(void) { time_t t = 1700000000; struct tm tm; gmtime_r(&t, &tm); char b[64]; strftime(b, 64, "%Y-%m-%d %H:%M:%S %a %b %j", &tm); puts(b); struct tm u = tm; u.tm_mday += 40; time_t v = mktime(&u); printf("%lld %s", (long long)v, asctime(&u)); struct timespec ts; clock_gettime(CLOCK_REALTIME, &ts); if (ts.tv_sec > 0) puts("now"); time_t now = time(0); if (localtime(&now)->tm_year > 100) puts("y"); return 0; }`,
  },
  {
    name: "streams in memory",
    verdict: "clean",
    body: `int main(void) { char *b; size_t n; FILE *f = open_memstream(&b, &n); fprintf(f, "%d %s %5.2f", 3, "x", 2.5); fclose(f); if (n == strlen(b)) puts(b); free(b); char in[] = "7 8"; FILE *g = fmemopen(in, 3, "r"); int x, y; if (fscanf(g, "%d %d", &x, &y) == 2) printf("%d\\n", x + y); fclose(g); return 0; }`,
  },
  {
    name: "regular expressions and file patterns",
    verdict: "clean",
    body: `#include <regex.h>
    #include <fnmatch.h>
    int main(void) { regex_t r; regmatch_t m[3]; if (regcomp(&r, "([a-z]+)=([0-9]+)", REG_EXTENDED) == 0) { if (regexec(&r, "key=42", 3, m, 0) == 0) printf("%d %d\\n", (int)m[1].rm_so, (int)m[2].rm_eo); regfree(&r); } if (fnmatch("*.c", "main.c", 0) == 0) puts("c"); return 0; }`,
  },
  {
    name: "numbers of 128 bits",
    verdict: "clean",
    body: `int main(void) { long double x = 1.5L + zero; x = x * x + 1; double d = x; if (x > 3 && d < 4) printf("%g\\n", d); __int128 y = (__int128)(1ull << 60) * (5 + zero); printf("%llx\\n", (long long)(y >> 20)); return 0; }`,
  },
  {
    name: "a row of a table without its last column",
    verdict: "uninitialised",
    body: `struct row { int id; double price; char name[16]; int qty; };
    NOINLINE void parse(char *l, struct row *r) { char *f = strtok(l, ","); r->id = atoi(f); if ((f = strtok(0, ","))) r->price = atof(f); if ((f = strtok(0, ","))) strcpy(r->name, f); if ((f = strtok(0, ","))) r->qty = atoi(f); }
    int main(void) { char a[] = "1,2.5,bolt,7", b[] = "2,1.5,nut"; struct row *r = fresh(2 * sizeof *r); parse(a, r); parse(b, r + 1); int q = 0; for (int i = 0; i < 2; i++) q += r[i].qty; printf("%d\\n", q); free(r); return 0; }`,
  },
];
