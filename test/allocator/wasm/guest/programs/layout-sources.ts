// More C programs as in sources.ts, of how data lie in memory: packed structs, unions, queues, tries, arenas, readers of bits, vectors that
// grow, values in the not-a-numbers of doubles; and counts and sums of what was never set, held against bounds that they cannot reach.
// Memcheck's verdict is that of Valgrind 3.19 on the same program built natively at each level.
import type { Source } from "./sources.ts";

const clean = (name: string, body: string): Source => ({ name, verdict: "clean", body });
const faulty = (name: string, body: string): Source => ({ name, verdict: "uninitialised", body });

export const LAYOUT_SOURCES: readonly Source[] = [
  clean(
    "packed structs in an array, some members never set",
    `struct __attribute__((packed)) r { uint8_t tag; uint32_t v; uint16_t w; uint64_t x; };
    NOINLINE unsigned sum(const struct r *p, int n) { unsigned s = 0; for (int i = 0; i < n; i++) if (p[i].tag == 2) s += p[i].v; return s; }
    NOINLINE int find(const struct r *p, int n, uint32_t v) { for (int i = 0; i < n; i++) if (p[i].v == v) return i; return -1; }
    int main(void) { struct r *p = fresh(40 * sizeof *p); for (int i = 0; i < 40; i++) { p[i].tag = i & 3; p[i].v = i * 1000; if (i & 1) p[i].x = i; } if (sum(p, 40) > 1000 && find(p, 40, 7000) == 7) puts("found"); struct r c = p[3]; p[3] = p[5]; p[5] = c; if (p[5].x == 3) puts("x"); free(p); return 0; }`,
  ),
  clean(
    "a reader of bits takes whole words, beyond what was filled",
    `struct br { const uint8_t *p; uint32_t acc; int n; };
    NOINLINE unsigned bits(struct br *b, int k) { while (b->n < k) { b->acc |= (uint32_t)*b->p++ << b->n; b->n += 8; } unsigned v = b->acc & ((1u << k) - 1); b->acc >>= k; b->n -= k; return v; }
    struct wr { const uint8_t *p; uint64_t acc; int n; };
    NOINLINE unsigned wide(struct wr *b, int k) { if (b->n < 32) { uint32_t w; memcpy(&w, b->p, 4); b->p += 4; b->acc |= (uint64_t)w << b->n; b->n += 32; } unsigned v = b->acc & ((1ull << k) - 1); b->acc >>= k; b->n -= k; return v; }
    int main(void) { uint8_t *p = fresh(32); for (int i = 0; i < 13; i++) p[i] = i * 29; struct br b = { p, 0, 0 }; struct wr w = { p, 0, 0 }; int ok = 1; for (int i = 0; i < 20; i++) { int k = 1 + i % 7; unsigned x = bits(&b, k), y = wide(&w, k); if (x != y) ok = 0; } if (ok) puts("bits"); free(p); return 0; }`,
  ),
  clean(
    "values in the not-a-numbers of doubles",
    `typedef union { double d; uint64_t u; struct { uint32_t lo, hi; } w; } val;
    enum { T_NULL = 0xfff90000u, T_BOOL = 0xfffa0000u, T_INT = 0xfffb0000u };
    NOINLINE val null(void) { val *v = fresh(8); v->w.hi = T_NULL; val r = *v; free(v); return r; }
    NOINLINE void set_int(val *v, int i) { v->w.hi = T_INT; v->w.lo = i; }
    NOINLINE void set_bool(val *v, bool b) { v->w.hi = T_BOOL; *(uint8_t *)&v->w.lo = b; }
    NOINLINE bool is_number(const val *v) { return v->w.hi < T_NULL; }
    NOINLINE int kind(const val *v) { switch (v->u >> 48) { case T_NULL >> 16: return 0; case T_BOOL >> 16: return 1; case T_INT >> 16: return 2; default: return 3; } }
    int main(void) { val *v = fresh(4 * sizeof *v); v[0] = null(); set_int(v + 1, 7 + zero); set_bool(v + 2, true); v[3].d = 2.5; int s = 0; for (int i = 0; i < 4; i++) s = s * 10 + kind(v + i) + is_number(v + i); if (s == 214) puts("?"); printf("%d\\n", s); if ((uint8_t)v[2].u) puts("true"); free(v); return 0; }`,
  ),
  clean(
    "truncated and extended halves",
    `NOINLINE int lo8(uint32_t w) { return (int8_t)w; } NOINLINE int lo16(uint32_t w) { return (int16_t)w; } NOINLINE int hi16(int32_t w) { return w >> 16; }
    NOINLINE long long wide(uint64_t w) { return (int32_t)w; }
    int main(void) { uint8_t *p = fresh(8); p[0] = 200; uint32_t w; memcpy(&w, p, 4); if (lo8(w) < 0) puts("neg"); p[1] = 255; memcpy(&w, p, 4); if (lo16(w) == -56) puts("-56"); p[2] = 1; p[3] = 2; memcpy(&w, p, 4); uint64_t x; memcpy(&x, p, 8); if (wide(x) > 0) puts("pos"); uint8_t *q = fresh(4); q[2] = 0; q[3] = 128; memcpy(&w, q, 4); if (hi16(w) == -32768) puts("hi"); if ((int32_t)w < 0) puts("sign"); free(q); free(p); return 0; }`,
  ),
  clean(
    "an arena, a pool and lists within its blocks",
    `struct arena { char *at, *end; }; NOINLINE void *take(struct arena *a, size_t n) { char *p = (char *)(((uintptr_t)a->at + 7) & ~(uintptr_t)7); if (p + n > a->end) return 0; a->at = p + n; return p; }
    struct pool { void *free; struct arena a; }; NOINLINE void *get(struct pool *p) { if (p->free) { void *r = p->free; p->free = *(void **)r; return r; } return take(&p->a, 24); }
    NOINLINE void put(struct pool *p, void *v) { *(void **)v = p->free; p->free = v; }
    int main(void) { char *m = fresh(4096); struct pool p = { 0, { m, m + 4096 } }; int *v[50]; for (int i = 0; i < 50; i++) { v[i] = get(&p); v[i][2] = i; if (i % 3 == 0) put(&p, v[i]); } int s = 0; for (int i = 1; i < 50; i += 3) s += v[i][2] >= 0; printf("%d\\n", s); free(m); return 0; }`,
  ),
  clean(
    "a growing vector of structs with holes, sorted and made unique",
    `struct e { char c; double w; short id; }; struct vec { struct e *v; int n, cap; };
    NOINLINE void push(struct vec *v, char c, double w, short id) { if (v->n == v->cap) { v->cap = v->cap ? v->cap * 2 : 4; v->v = realloc(v->v, v->cap * sizeof *v->v); } struct e *e = &v->v[v->n++]; e->c = c; e->w = w; e->id = id; }
    static int by(const void *a, const void *b) { const struct e *x = a, *y = b; return x->c != y->c ? x->c - y->c : x->id - y->id; }
    int main(void) { struct vec v = { 0 }; for (int i = 0; i < 100; i++) push(&v, 'a' + i % 7, i * .5, i % 5); qsort(v.v, v.n, sizeof *v.v, by); int k = 0; for (int i = 0; i < v.n; i++) if (k == 0 || by(v.v + k - 1, v.v + i) != 0) v.v[k++] = v.v[i]; printf("%d\\n", k); free(v.v); return 0; }`,
  ),
  clean(
    "wide characters",
    `#include <wchar.h>
    int main(void) { wchar_t *w = fresh(40 * sizeof *w); wcscpy(w, L"wide text"); size_t n = wcslen(w); if (n == 9 && wcschr(w, L't') == w + 5 && wcscmp(w, L"wide texts") < 0) puts("wide"); char b[40]; if (wcstombs(b, w, 40) == 9) puts(b); mbstowcs(w, "back", 40); if (wmemcmp(w, L"back", 4) == 0) puts("back"); free(w); return 0; }`,
  ),
  clean(
    "sums of what flags allow",
    `NOINLINE int sum(const uint8_t *has, const int *v, int n) { int s = 0; for (int i = 0; i < n; i++) if (has[i]) s += v[i]; return s; }
    NOINLINE int most(const uint8_t *has, const int *v, int n) { int s = -1; for (int i = 0; i < n; i++) s = has[i] && v[i] > s ? v[i] : s; return s; }
    NOINLINE void copy(const uint8_t *has, const int *v, int *o, int n) { for (int i = 0; i < n; i++) o[i] = has[i] ? v[i] * 3 : 0; }
    int main(void) { uint8_t *h = fresh(64); int *v = fresh(256), *o = fresh(256); for (int i = 0; i < 64; i++) { h[i] = i % 3 == 0; if (h[i]) v[i] = i; } copy(h, v, o, 64); int t = 0; for (int i = 0; i < 64; i++) t += o[i]; if (sum(h, v, 64) > 100 && most(h, v, 64) == 63 && t == 3 * sum(h, v, 64)) puts("sums"); free(h); free(v); free(o); return 0; }`,
  ),
  clean(
    "three-byte structs and 24-bit numbers",
    `struct c { uint8_t r, g, b; }; NOINLINE struct c mid(struct c a, struct c b) { struct c m = { (a.r + b.r) / 2, (a.g + b.g) / 2, (a.b + b.b) / 2 }; return m; }
    NOINLINE uint32_t get24(const uint8_t *p) { return p[0] | p[1] << 8 | p[2] << 16; } NOINLINE void put24(uint8_t *p, uint32_t v) { p[0] = v; p[1] = v >> 8; p[2] = v >> 16; }
    int main(void) { struct c *v = fresh(7 * sizeof *v); for (int i = 0; i < 6; i++) v[i].r = i, v[i].g = i * 2, v[i].b = i * 3; v[6] = mid(v[1], v[5]); uint8_t *b = fresh(12); for (int i = 0; i < 3; i++) put24(b + 3 * i, i * 70000); if (get24(b + 6) == 140000 && v[6].b == 9 && memcmp(v + 6, "\\3\\6\\11", 3) == 0) puts("24"); free(v); free(b); return 0; }`,
  ),
  clean(
    "a compressor of repeats, and back",
    `NOINLINE int pack(const uint8_t *s, int n, uint8_t *d) { uint16_t *t = calloc(256, 2); int o = 0, i = 0; while (i + 4 <= n) { uint32_t w; memcpy(&w, s + i, 4); unsigned h = w * 2654435761u >> 24; int c = t[h]; t[h] = i; uint32_t x; memcpy(&x, s + c, 4); if (c < i && x == w) { int l = 4; while (i + l < n && l < 60 && s[c + l] == s[i + l]) l++; d[o++] = 128 | l; d[o++] = i - c; d[o++] = (i - c) >> 8; i += l; } else { d[o++] = s[i] & 127; i++; } } while (i < n) d[o++] = s[i++] & 127; free(t); return o; }
    NOINLINE int unpack(const uint8_t *d, int n, uint8_t *o) { int k = 0; for (int i = 0; i < n;) { int c = d[i++]; if (c & 128) { int l = c & 127, f = d[i] | d[i + 1] << 8; i += 2; while (l--) { o[k] = o[k - f]; k++; } } else o[k++] = c; } return k; }
    int main(void) { uint8_t *s = fresh(1000), *d = fresh(3000), *o = fresh(1100); for (int i = 0; i < 1000; i++) s[i] = (i % 37) ^ (i / 200); int n = pack(s, 1000, d); if (unpack(d, n, o) == 1000 && memcmp(s, o, 1000) == 0) puts("same"); free(s); free(d); free(o); return 0; }`,
  ),
  clean(
    "structs as variable arguments and by pointers to members",
    `#include <stdarg.h>
    struct p { char c; int v; }; struct q { double d; char t; };
    NOINLINE double total(int n, ...) { va_list l; va_start(l, n); double s = 0; for (int i = 0; i < n; i++) { struct p p = va_arg(l, struct p); struct q q = va_arg(l, struct q); s += p.v + q.d + p.c + q.t; } va_end(l); return s; }
    int main(void) { struct p *p = fresh(sizeof *p); struct q *q = fresh(sizeof *q); p->c = 1; p->v = 2; q->d = 3; q->t = 4; if (total(2, *p, *q, *p, *q) == 20) puts("20"); free(p); free(q); return 0; }`,
  ),
  clean(
    "a trie whose children a set of bits names",
    `struct t { uint32_t has; struct t *kid[26]; bool end; };
    NOINLINE struct t *node(void) { struct t *t = fresh(sizeof *t); t->has = 0; t->end = false; return t; }
    NOINLINE void add(struct t *t, const char *s) { for (; *s; s++) { int c = *s - 'a'; if (!(t->has >> c & 1)) { t->kid[c] = node(); t->has |= 1u << c; } t = t->kid[c]; } t->end = true; }
    NOINLINE bool has(const struct t *t, const char *s) { for (; *s; s++) { int c = *s - 'a'; if (!(t->has & 1u << c)) return false; t = t->kid[c]; } return t->end; }
    int main(void) { struct t *r = node(); const char *w[] = { "tree", "trie", "try", "to", "a" }; for (int i = 0; i < 5; i++) add(r, w[i]); int n = 0; for (int i = 0; i < 5; i++) n += has(r, w[i]); n += has(r, "tr") + has(r, "tries") + has(r, "b"); if (n == 5) puts("five"); return 0; }`,
  ),
  clean(
    "the first four bytes of a text are compared with a word",
    `NOINLINE int method(const char *s) { uint32_t w; memcpy(&w, s, 4); switch (w) { case 0x20544547: return 1; case 0x54534f50: return 2; case 0x20545550: return 3; } return 0; }
    int main(void) { char *p = fresh(8); memcpy(p, "GET ", 4); if (method(p) == 1) puts("get"); if (strncmp(p, "GEX", 3) > 0 || memcmp(p, "GET ", 4) == 0) puts("compared"); free(p); return 0; }`,
  ),
  clean(
    "upper and lower case, digits and spaces of a text in a larger block",
    `NOINLINE int classes(const char *s) { int n = 0; for (; *s; s++) { unsigned char c = *s; n = n * 3 + (c - '0' < 10u ? 1 : (c | 32) - 'a' < 26u ? 2 : c == ' ' || c - 9u < 5 ? 0 : 1); } return n; }
    NOINLINE void upper(char *s) { for (; *s; s++) if (*s >= 'a' && *s <= 'z') *s -= 32; }
    int main(void) { char *s = fresh(64); strcpy(s, "Ab 9\\tz"); printf("%d\\n", classes(s)); upper(s); puts(s); free(s); return 0; }`,
  ),
  clean(
    "matrices and vectors of floats with unused columns",
    `struct m { float a[4][4]; }; NOINLINE void mul(struct m *o, const struct m *x, const struct m *y) { for (int i = 0; i < 3; i++) for (int j = 0; j < 3; j++) { float s = 0; for (int k = 0; k < 3; k++) s += x->a[i][k] * y->a[k][j]; o->a[i][j] = s; } }
    int main(void) { struct m *m = fresh(3 * sizeof *m); for (int k = 0; k < 2; k++) for (int i = 0; i < 3; i++) for (int j = 0; j < 3; j++) m[k].a[i][j] = i == j; mul(m + 2, m, m + 1); float t = 0; for (int i = 0; i < 3; i++) t += m[2].a[i][i]; if (t == 3) puts("three"); free(m); return 0; }`,
  ),
  clean(
    "a queue of messages of several kinds",
    `enum k { PING, DATA, QUIT }; struct msg { enum k kind; uint16_t len; union { uint8_t bytes[16]; uint64_t stamp; } u; }; struct q { struct msg v[8]; unsigned head, tail; };
    NOINLINE bool send(struct q *q, struct msg m) { if (q->tail - q->head == 8) return false; q->v[q->tail++ & 7] = m; return true; }
    NOINLINE bool recv_(struct q *q, struct msg *m) { if (q->head == q->tail) return false; *m = q->v[q->head++ & 7]; return true; }
    int main(void) { struct q *q = fresh(sizeof *q); q->head = q->tail = 0; for (int i = 0; i < 20; i++) { struct msg m; m.kind = i % 2; if (m.kind == DATA) { m.len = i % 16; memset(m.u.bytes, i, m.len); } else m.u.stamp = i; send(q, m); if (i % 3) { struct msg r; if (recv_(q, &r) && r.kind == DATA && r.len && r.u.bytes[r.len - 1] != 255) sink++; } } struct msg m; m.kind = QUIT; send(q, m); int n = 0; while (recv_(q, &m)) n++; printf("%d\\n", n); free(q); return 0; }`,
  ),
  clean(
    "pairs of numbers as one",
    `struct pt { int32_t x, y; }; NOINLINE struct pt add(struct pt a, struct pt b) { struct pt r = { a.x + b.x, a.y + b.y }; return r; } NOINLINE bool left(struct pt a, struct pt b) { return a.x < b.x; }
    NOINLINE struct pt only_x(int x) { struct pt *p = fresh(sizeof *p); p->x = x; struct pt r = *p; free(p); return r; }
    int main(void) { struct pt a = only_x(3 + zero), b = only_x(4); if (left(a, b)) puts("left"); struct pt c = add(a, b); if (c.x == 7) puts("seven"); struct pt d = c; d.y = 5; if (d.y == 5 && d.x == 7) puts("both"); return 0; }`,
  ),
  clean(
    "a game of life on bytes, with a border that is not looked at",
    `int main(void) { uint8_t *a = fresh(34 * 34), *b = fresh(34 * 34); for (int y = 0; y < 34; y++) for (int x = 0; x < 34; x++) a[y * 34 + x] = (x * y) % 3 == 1; for (int k = 0; k < 3; k++) { for (int y = 1; y < 33; y++) for (int x = 1; x < 33; x++) { uint8_t *p = a + y * 34 + x; int n = p[-35] + p[-34] + p[-33] + p[-1] + p[1] + p[33] + p[34] + p[35]; b[y * 34 + x] = n == 3 || (n == 2 && *p); } for (int y = 1; y < 33; y++) memcpy(a + y * 34 + 1, b + y * 34 + 1, 32); } int n = 0; for (int i = 0; i < 34 * 34; i++) n += a[i]; printf("%d\\n", n); free(a); free(b); return 0; }`,
  ),
  clean(
    "states in bits of which some are never set",
    `struct s { uint8_t open : 1, dirty : 1, locked : 1, mode : 3; uint16_t gen : 10, kind : 4; };
    NOINLINE void touch(struct s *s) { s->dirty = 1; s->gen++; if (s->mode == 5) s->mode--; } NOINLINE bool ready(const struct s *s) { return s->open && s->dirty && s->mode < 5; }
    int main(void) { struct s *s = fresh(sizeof *s); s->open = 1; s->dirty = 0; s->mode = 5; s->gen = 1023; touch(s); if (ready(s) && s->gen == 0) puts("ready"); free(s); return 0; }`,
  ),
  clean(
    "an option of an option, and results with errors",
    `struct o { uint8_t tag; uint8_t v; }; struct r { bool ok; union { int32_t v; uint8_t e; } u; };
    NOINLINE struct o two(int k) { struct o o; o.tag = k % 3; if (o.tag == 2) o.v = k; return o; } NOINLINE struct r parse(const char *s) { struct r r; if (*s < '0' || *s > '9') { r.ok = false; r.u.e = *s; return r; } r.ok = true; r.u.v = atoi(s); return r; }
    NOINLINE struct r twice(struct r r) { if (r.ok) r.u.v *= 2; return r; } NOINLINE bool same(struct r a, struct r b) { return a.ok == b.ok && (a.ok ? a.u.v == b.u.v : a.u.e == b.u.e); }
    int main(void) { int s = 0; for (int i = 0; i < 9; i++) { struct o o = two(i); s += o.tag == 2 ? o.v : o.tag; } if (same(twice(parse("21")), parse("42")) && same(twice(parse("x")), parse("x")) && !same(parse("1"), parse("y"))) printf("%d\\n", s); return 0; }`,
  ),
  clean(
    "numbers made of text, by eight digits at a time",
    `NOINLINE uint32_t eight(const char *s) { uint64_t v; memcpy(&v, s, 8); v -= 0x3030303030303030ull; v = (v * 10) + (v >> 8); return (((v & 0x000000ff000000ffull) * 0x000f424000000064ull) + (((v >> 16) & 0x000000ff000000ffull) * 0x0000271000000001ull)) >> 32; }
    NOINLINE bool digits(const char *s) { uint64_t v; memcpy(&v, s, 8); return ((v & (v + 0x0606060606060606ull) & 0xf0f0f0f0f0f0f0f0ull) == 0x3030303030303030ull); }
    int main(void) { char *s = fresh(16); strcpy(s, "12345678"); if (digits(s) && eight(s) == 12345678) puts("12345678"); strcpy(s, "12x"); if (!digits("12x45678")) puts("not"); free(s); return 0; }`,
  ),
  clean(
    "a text of which eight bytes are looked at, though it is shorter",
    `NOINLINE bool digits(const char *s) { uint64_t v; memcpy(&v, s, 8); return ((v & 0xf0f0f0f0f0f0f0f0ull) == 0x3030303030303030ull); }
    int main(void) { char *s = fresh(16); strcpy(s, "12x"); if (!digits(s)) puts("not"); free(s); return 0; }`,
  ),
  clean(
    "nibbles of which one is never set",
    `NOINLINE void put(uint8_t *p, int i, int v) { p += i / 2; *p = i % 2 ? (*p & 15) | v << 4 : (*p & 240) | v; } NOINLINE int get(const uint8_t *p, int i) { return p[i / 2] >> (i % 2 * 4) & 15; }
    NOINLINE int most(const uint8_t *p, int n) { int m = 0; for (int i = 0; i < n; i++) { int v = get(p, i); if (v > m) m = v; } return m; }
    int main(void) { uint8_t *p = fresh(8); for (int i = 0; i < 11; i++) put(p, i, i); if (most(p, 11) == 10 && get(p, 3) == 3) puts("ten"); free(p); return 0; }`,
  ),
  clean(
    "time and money in one word, compared and moved on",
    `NOINLINE uint64_t pack(uint32_t t, uint16_t m, uint16_t f) { return (uint64_t)t << 32 | m << 16 | f; } NOINLINE uint64_t later(uint64_t v, uint32_t by) { return v + ((uint64_t)by << 32); } NOINLINE uint64_t pay(uint64_t v, uint16_t m) { return v + ((uint32_t)m << 16); } NOINLINE uint32_t when(uint64_t v) { return v >> 32; }
    int main(void) { uint16_t *f = fresh(2); uint64_t v = pack(100 + zero, 5, *f); v = later(v, 20); v = later(v, 3); if (when(v) == 123) puts("123"); if ((uint16_t)(v >> 16) == 5) puts("five"); v = pay(v, 2); if ((uint16_t)(v >> 16) == 7) puts("seven"); if (when(v) == 123) puts("still"); free(f); return 0; }`,
  ),
  faulty(
    "a bit beyond what was filled, by a reader of words",
    `NOINLINE unsigned at(const uint8_t *p, int bit) { uint32_t w; memcpy(&w, p + bit / 32 * 4, 4); return w >> (bit & 31) & 1; }
    int main(void) { uint8_t *p = fresh(8); p[0] = 1; p[1] = 2; if (at(p, 17 + zero)) puts("set"); else puts("not"); free(p); return 0; }`,
  ),
  faulty(
    "a sum of what flags forbid",
    `NOINLINE int sum(const uint8_t *has, const int *v, int n) { int s = 0; for (int i = 0; i < n; i++) if (!has[i]) s += v[i]; return s; }
    int main(void) { uint8_t *h = fresh(32); int *v = fresh(128); for (int i = 0; i < 32; i++) { h[i] = i % 3 == 0; if (h[i]) v[i] = i; } if (sum(h, v, 32) == 77) puts("77"); else puts("other"); free(h); free(v); return 0; }`,
  ),
  faulty(
    "the x of a point of which only y was set, through sums",
    `struct pt { int32_t x, y; }; NOINLINE struct pt add(struct pt a, struct pt b) { struct pt r = { a.x + b.x, a.y + b.y }; return r; }
    int main(void) { struct pt *p = fresh(16); p[0].y = p[1].y = 1; struct pt c = add(p[0], p[1]); if (c.x == 7) puts("7"); else puts("other"); free(p); return 0; }`,
  ),
  faulty(
    "a nibble that was never set",
    `NOINLINE void put(uint8_t *p, int i, int v) { p += i / 2; *p = i % 2 ? (*p & 15) | v << 4 : (*p & 240) | v; } NOINLINE int get(const uint8_t *p, int i) { return p[i / 2] >> (i % 2 * 4) & 15; }
    int main(void) { uint8_t *p = fresh(8); for (int i = 0; i < 11; i++) put(p, i, i); if (get(p, 11 + zero) == 10) puts("ten"); else puts("other"); free(p); return 0; }`,
  ),
  faulty(
    "the length of a message that has none",
    `enum k { PING, DATA }; struct msg { enum k kind; uint16_t len; uint8_t b[12]; }; NOINLINE struct msg make(int k) { struct msg m; m.kind = k ? DATA : PING; if (k) m.len = k; return m; } NOINLINE int over(struct msg *m) { return m->len > 60000; }
    int main(void) { struct msg *m = fresh(sizeof *m); m->kind = PING; printf("%d\\n", over(m)); free(m); return 0; }`,
  ),
  faulty(
    "how often a letter is in a text of which a part was never written",
    `int main(void) { char *s = fresh(20); memcpy(s, "abcabc", 6); unsigned char n = 0; for (int i = 0; i < 19 + zero; i++) n += s[i] == 'q'; puts(n > 200 ? "often" : "seldom"); free(s); return 0; }`,
  ),
  faulty(
    "an average of numbers of which one is undefined",
    `int main(void) { int *v = fresh(40); for (int i = 0; i < 9; i++) v[i] = 3; long s = 0; for (int i = 0; i < 10 + zero; i++) s += v[i] & 15; printf("%d\\n", s / 10 > 100); free(v); return 0; }`,
  ),
  faulty(
    "an order of undefined bytes, counted",
    `int main(void) { uint8_t *p = fresh(8); p[0] = 1; int n = 0; for (int i = 0; i < 7 + zero; i++) n += (p[i] > p[i + 1]) - (p[i] < p[i + 1]); puts(n < -50 ? "falls" : "other"); free(p); return 0; }`,
  ),
  faulty(
    "a minimum that a loop keeps, against a bound it never has",
    `int main(void) { uint8_t *p = fresh(16); for (int i = 0; i < 15; i++) p[i] = 50; unsigned m = 255; for (int i = 0; i < 16 + zero; i++) if (p[i] < m) m = p[i]; puts(m == 300 ? "?" : "ok"); printf("%d\\n", m > 256); if (m == 17) puts("17"); free(p); return 0; }`,
  ),
];
