// More C programs as in sources.ts, of what optimisers and programmers do with words of which only a part was set: counters in their
// upper halves, bytes worked on together, bit fields, flags, tags, keys; and sums that are undefined as a whole.
// Memcheck's verdict is that of Valgrind 3.19 on the same program built natively at each level.
import type { Source } from "./sources.ts";

const clean = (name: string, body: string): Source => ({ name, verdict: "clean", body });
const faulty = (name: string, body: string): Source => ({ name, verdict: "uninitialised", body });

export const WORD_SOURCES: readonly Source[] = [
  clean(
    "a counter in the upper half of a word",
    `NOINLINE void bump(uint32_t *p) { *p += 0x30000; }
    int main(void) { uint32_t *p = fresh(4); ((uint16_t *)p)[1] = 7; bump(p); if (*p >> 16 == 10) puts("10"); free(p); return 0; }`,
  ),
  clean(
    "a counter in the upper half of a long word",
    `NOINLINE void bump(uint64_t *p) { *p += 3ull << 32; }
    int main(void) { uint64_t *p = fresh(8); ((uint32_t *)p)[1] = 7; bump(p); if (*p >> 32 == 10) puts("10"); free(p); return 0; }`,
  ),
  clean(
    "what is added to the upper half is a variable",
    `NOINLINE void bump(uint32_t *p, uint16_t by) { *p += (uint32_t)by << 16; }
    int main(void) { uint32_t *p = fresh(4); ((uint16_t *)p)[1] = 7; bump(p, 3 + zero); if (*p >> 16 == 10) puts("10"); free(p); return 0; }`,
  ),
  clean(
    "a counter in the upper half goes down",
    `NOINLINE uint32_t drop(uint32_t w) { return w - 0x10000; }
    int main(void) { uint32_t *p = fresh(4); ((uint16_t *)p)[1] = 7; if (drop(*p) >> 16 == 6) puts("6"); free(p); return 0; }`,
  ),
  faulty(
    "a counter in the lower half",
    `NOINLINE void bump(uint32_t *p) { *p += 3; }
    int main(void) { uint32_t *p = fresh(4); ((uint16_t *)p)[1] = 7; bump(p); if (*p >> 16 == 7) puts("7"); free(p); return 0; }`,
  ),
  clean(
    "each byte of a word is one more, of which one is undefined",
    `NOINLINE uint32_t inc(uint32_t w) { return ((w & 0x7f7f7f7f) + 0x01010101) ^ (w & 0x80808080); }
    int main(void) { uint8_t *p = fresh(4); p[0] = 5; p[2] = 200; p[3] = 255; uint32_t w; memcpy(&w, p, 4); w = inc(w); if ((w & 255) == 6 && (w >> 16 & 255) == 201 && w >> 24 == 0) puts("one more"); free(p); return 0; }`,
  ),
  faulty(
    "each byte of a word is one more, and the undefined one is looked at",
    `NOINLINE uint32_t inc(uint32_t w) { return ((w & 0x7f7f7f7f) + 0x01010101) ^ (w & 0x80808080); }
    int main(void) { uint8_t *p = fresh(4); p[0] = 5; p[2] = 200; p[3] = 255; uint32_t w; memcpy(&w, p, 4); w = inc(w); if ((w >> 8 & 255) == 6) puts("one more"); free(p); return 0; }`,
  ),
  clean(
    "each byte of a long word is one more, of which one is undefined",
    `NOINLINE uint64_t inc(uint64_t w) { return ((w & 0x7f7f7f7f7f7f7f7full) + 0x0101010101010101ull) ^ (w & 0x8080808080808080ull); }
    int main(void) { uint8_t *p = fresh(8); for (int i = 0; i < 8; i++) if (i != 3) p[i] = i; uint64_t w; memcpy(&w, p, 8); w = inc(w); if ((w & 255) == 1 && w >> 56 == 8) puts("one more"); free(p); return 0; }`,
  ),
  clean(
    "two halves are added together, of which one is undefined",
    `NOINLINE uint32_t add2(uint32_t a, uint32_t b) { return ((a & 0x7fff7fff) + (b & 0x7fff7fff)) ^ ((a ^ b) & 0x80008000); }
    int main(void) { uint16_t *p = fresh(8); p[1] = 300; p[3] = 400; uint32_t a, b; memcpy(&a, p, 4); memcpy(&b, p + 2, 4); if (add2(a, b) >> 16 == 700) puts("700"); free(p); return 0; }`,
  ),
  clean(
    "colours are mixed, of which the first byte is undefined",
    `NOINLINE uint32_t mix(uint32_t a, uint32_t b) { uint32_t rb = ((a & 0xff00ff) + (b & 0xff00ff)) >> 1 & 0xff00ff, ag = ((a >> 8 & 0xff00ff) + (b >> 8 & 0xff00ff)) << 7 & 0xff00ff00; return rb | ag; }
    int main(void) { uint8_t *p = fresh(8); for (int i = 0; i < 8; i++) if (i % 4 != 0) p[i] = i * 20; uint32_t a, b; memcpy(&a, p, 4); memcpy(&b, p + 4, 4); uint32_t m = mix(a, b); if ((m >> 16 & 255) == 80 && m >> 24 == 100) puts("mixed"); free(p); return 0; }`,
  ),
  clean(
    "colours are mixed, of which the last byte is undefined",
    `NOINLINE uint32_t mix(uint32_t a, uint32_t b) { uint32_t rb = ((a & 0xff00ff) + (b & 0xff00ff)) >> 1 & 0xff00ff, g = ((a & 0xff00) + (b & 0xff00)) >> 1 & 0xff00; return rb | g; }
    int main(void) { uint8_t *p = fresh(8); for (int i = 0; i < 8; i++) if (i % 4 != 3) p[i] = i * 20; uint32_t a, b; memcpy(&a, p, 4); memcpy(&b, p + 4, 4); uint32_t m = mix(a, b); if ((m & 0xff) == 40 && (m >> 8 & 255) == 60 && (m >> 16 & 255) == 80) puts("mixed"); free(p); return 0; }`,
  ),
  clean(
    "bits are counted by hand in the bytes that are set",
    `NOINLINE uint32_t counts(uint32_t x) { x = x - (x >> 1 & 0x55555555); x = (x & 0x33333333) + (x >> 2 & 0x33333333); return (x + (x >> 4)) & 0x0f0f0f0f; }
    int main(void) { uint8_t *p = fresh(4); p[0] = 255; p[1] = 7; p[3] = 1; uint32_t w; memcpy(&w, p, 4); w = counts(w); if ((w & 255) == 8 && (w >> 8 & 255) == 3) puts("bits"); free(p); return 0; }`,
  ),
  clean(
    "a bit field behind an undefined one is counted up",
    `struct f { unsigned a : 8, b : 12, c : 12; };
    NOINLINE void up(struct f *f) { f->c++; f->b += 5; }
    int main(void) { struct f *f = fresh(4); f->b = 100; f->c = 7; for (int i = 0; i < 3 + zero; i++) up(f); if (f->c == 10 && f->b == 115) puts("up"); free(f); return 0; }`,
  ),
  clean(
    "a signed bit field behind an undefined one goes down below zero",
    `struct f { unsigned a : 7; int b : 9, c : 16; };
    NOINLINE void down(struct f *f) { f->b -= 3; f->c -= 2; }
    int main(void) { struct f *f = fresh(4); f->b = 1; f->c = 1; down(f); if (f->b < 0 && f->c < 0 && f->b == -2) puts("down"); free(f); return 0; }`,
  ),
  faulty(
    "a bit field that was never set is counted up",
    `struct f { unsigned a : 8, b : 12, c : 12; };
    NOINLINE void up(struct f *f) { f->b += 5; }
    int main(void) { struct f *f = fresh(4); f->a = 1; f->c = 7; up(f); if (f->b == 115) puts("up"); free(f); return 0; }`,
  ),
  clean(
    "bit fields of 64 bits",
    `struct f { uint64_t id : 20, gen : 12, len : 31, live : 1; };
    NOINLINE void touch(struct f *f) { f->gen++; f->len += 4096; }
    int main(void) { struct f *f = fresh(8); f->gen = 3; f->len = 1; f->live = 1; touch(f); if (f->live && f->gen == 4 && f->len == 4097) puts("touched"); free(f); return 0; }`,
  ),
  clean(
    "some of the flags of a word",
    `enum { A = 1, B = 2, C = 4, D = 8 };
    NOINLINE void set(unsigned *f, int on) { *f = on ? (*f | A) & ~(unsigned)B : *f & ~(unsigned)(A | B); }
    NOINLINE int is(unsigned f) { return (f & (A | B)) == A; }
    int main(void) { unsigned *f = fresh(4); set(f, 1 + zero); if (is(*f)) puts("on"); set(f, zero); if (!is(*f)) puts("off"); if (*f & A) puts("?"); free(f); return 0; }`,
  ),
  clean(
    "members that are compared, around one that was never set",
    `struct k { uint8_t type, unused, level; bool open; };
    NOINLINE bool same(const struct k *a, const struct k *b) { return a->type == b->type && a->level == b->level && a->open == b->open; }
    int main(void) { struct k *v = fresh(2 * sizeof *v); for (int i = 0; i < 2; i++) v[i].type = 3, v[i].level = 200, v[i].open = true; if (same(v, v + 1)) puts("same"); v[1].level = 7; if (!same(v, v + 1)) puts("other"); free(v); return 0; }`,
  ),
  clean(
    "an optional byte that is returned with its flag in a register",
    `struct opt { uint8_t has, value; };
    NOINLINE struct opt find(int k) { struct opt o; o.has = k > 2; if (o.has) o.value = k * 3; return o; }
    int main(void) { int s = 0; for (int i = 0; i < 6 + zero; i++) { struct opt o = find(i); if (o.has) s += o.value; } if (s == 36) puts("36"); return 0; }`,
  ),
  clean(
    "an optional number that is returned with its flag in a register",
    `struct opt { bool has; int value; };
    NOINLINE struct opt find(int k) { struct opt o; o.has = k > 2; if (o.has) o.value = k * 3; return o; }
    NOINLINE int sum(int n) { int s = 0; for (int i = 0; i < n; i++) { struct opt o = find(i); if (o.has && o.value > 3) s += o.value; } return s; }
    int main(void) { if (sum(6 + zero) == 36) puts("36"); return 0; }`,
  ),
  clean(
    "an enumeration with values in it, as Rust lays it out",
    `struct e { uint8_t tag; union { uint8_t byte; uint16_t half; uint32_t word; } u; };
    NOINLINE struct e make(int k) { struct e e; e.tag = k % 3; switch (e.tag) { case 0: e.u.byte = k; break; case 1: e.u.half = k * 100; break; default: e.u.word = k * 100000; } return e; }
    NOINLINE bool equal(struct e a, struct e b) { if (a.tag != b.tag) return false; switch (a.tag) { case 0: return a.u.byte == b.u.byte; case 1: return a.u.half == b.u.half; default: return a.u.word == b.u.word; } }
    int main(void) { int n = 0; for (int i = 0; i < 9 + zero; i++) for (int j = 0; j < 9; j++) n += equal(make(i), make(j)); if (n == 9) puts("nine"); return 0; }`,
  ),
  clean(
    "a short text within its own header, a long one outside",
    `struct str { union { struct { char *at; uint32_t size, room; } far; char near[12]; } u; uint8_t left; };
    NOINLINE void make(struct str *s, const char *t) { size_t n = strlen(t); if (n < 12) { memcpy(s->u.near, t, n + 1); s->left = 11 - n; } else { s->u.far.at = malloc(n + 1); memcpy(s->u.far.at, t, n + 1); s->u.far.size = n; s->left = 255; } }
    NOINLINE size_t len(const struct str *s) { return s->left == 255 ? s->u.far.size : 11u - s->left; }
    NOINLINE const char *text(const struct str *s) { return s->left == 255 ? s->u.far.at : s->u.near; }
    int main(void) { struct str *v = fresh(3 * sizeof *v); make(v, "short"); make(v + 1, "a longer text than fits"); v[2] = v[0]; v[0] = v[1]; v[1] = v[2]; size_t n = 0; for (int i = 0; i < 3; i++) n += len(v + i) == strlen(text(v + i)); if (n == 3) puts(text(v + 1)); free(v[0].u.far.at); free(v); return 0; }`,
  ),
  clean(
    "strlen by words",
    `NOINLINE size_t length(const char *s) { const char *a = s; for (; (uintptr_t)s % 4; s++) if (!*s) return s - a; const uint32_t *w = (const void *)s; for (; !((*w - 0x01010101) & ~*w & 0x80808080); w++) ; for (s = (const void *)w; *s; s++) ; return s - a; }
    int main(void) { int n = 0; for (int len = 0; len < 30; len++) { char *s = fresh((len + 8) & ~3); memset(s, 'x', len); s[len] = 0; n += length(s) == (size_t)len; free(s); } if (n == 30) puts("thirty"); return 0; }`,
  ),
  clean(
    "memchr by long words",
    `NOINLINE const uint8_t *find(const uint8_t *p, uint8_t c, size_t n) { uint64_t k = 0x0101010101010101ull * c; for (; n >= 8; p += 8, n -= 8) { uint64_t w; memcpy(&w, p, 8); w ^= k; if ((w - 0x0101010101010101ull) & ~w & 0x8080808080808080ull) break; } for (; n; p++, n--) if (*p == c) return p; return 0; }
    int main(void) { uint8_t *p = fresh(64); memset(p, 'a', 40); p[33] = 'b'; if (find(p, 'b', 64) == p + 33) puts("found"); free(p); return 0; }`,
  ),
  clean(
    "text is copied by words up to its end",
    `NOINLINE void copy(char *d, const char *s) { uint32_t w; for (;; d += 4, s += 4) { memcpy(&w, s, 4); if ((w - 0x01010101) & ~w & 0x80808080) break; memcpy(d, &w, 4); } while ((*d++ = *s++)) ; }
    int main(void) { int n = 0; for (int len = 0; len < 20; len++) { char *s = fresh(24), *d = fresh(24); memset(s, 'y', len); s[len] = 0; copy(d, s); n += strcmp(d, s) == 0; free(s); free(d); } if (n == 20) puts("copied"); return 0; }`,
  ),
  clean(
    "hashes of buffers that were filled",
    `NOINLINE uint32_t fnv(const uint8_t *p, size_t n) { uint32_t h = 2166136261u; while (n--) h = (h ^ *p++) * 16777619u; return h; }
    NOINLINE uint32_t murmur(const uint8_t *p, size_t n) { uint32_t h = n; for (; n >= 4; p += 4, n -= 4) { uint32_t k; memcpy(&k, p, 4); k *= 0xcc9e2d51; k = k << 15 | k >> 17; h ^= k * 0x1b873593; h = (h << 13 | h >> 19) * 5 + 0xe6546b64; } uint32_t k = 0; switch (n) { case 3: k ^= p[2] << 16; case 2: k ^= p[1] << 8; case 1: k ^= p[0]; h ^= k * 0xcc9e2d51; } h ^= h >> 16; h *= 0x85ebca6b; h ^= h >> 13; return h; }
    NOINLINE uint64_t wide(const uint8_t *p, size_t n) { uint64_t h = n; for (; n >= 8; p += 8, n -= 8) { uint64_t k; memcpy(&k, p, 8); h = (h ^ k) * 0x9e3779b97f4a7c15ull; h ^= h >> 32; } return h; }
    int main(void) { int n = 0; for (int len = 1; len < 40; len++) { uint8_t *p = fresh(len + 7); for (int i = 0; i < len; i++) p[i] = i * 7; n += fnv(p, len) != 0; n += murmur(p, len) != 1; n += wide(p, len) != 7; free(p); } printf("%d\\n", n); return 0; }`,
  ),
  clean(
    "a word is swapped byte by byte, of which one is undefined",
    `int main(void) { uint8_t *p = fresh(4); p[0] = 1; p[1] = 2; p[2] = 3; uint32_t w; memcpy(&w, p, 4); w = __builtin_bswap32(w); if (w >> 8 == 0x010203) puts("swapped"); uint32_t r = w << 3 | w >> 29; if (r >> 11 == (0x010203 & 0x1fffff)) puts("turned"); free(p); return 0; }`,
  ),
  clean(
    "keys in the upper half of long words are sorted",
    `struct kv { uint32_t v, k; };
    static int by(const void *a, const void *b) { uint64_t x, y; memcpy(&x, a, 8); memcpy(&y, b, 8); uint32_t i = x >> 32, j = y >> 32; return (i > j) - (i < j); }
    int main(void) { struct kv *v = fresh(20 * sizeof *v); for (int i = 0; i < 20; i++) v[i].k = i * 7 % 20; qsort(v, 20, 8, by); int n = 0; for (int i = 1; i < 20; i++) n += v[i].k > v[i - 1].k; if (n == 19) puts("sorted"); free(v); return 0; }`,
  ),
  clean(
    "a reference count in the upper bits of a state",
    `NOINLINE int release(uint32_t *s) { *s -= 256; return *s >> 8 == 0; }
    int main(void) { uint32_t *s = fresh(4); ((uint8_t *)s)[1] = 3; ((uint8_t *)s)[2] = ((uint8_t *)s)[3] = 0; int n = 0; for (int i = 0; i < 3 + zero; i++) n += release(s); if (n == 1) puts("gone"); free(s); return 0; }`,
  ),
  clean(
    "the lowest set bit of a byte, in a word of which the rest is undefined",
    `NOINLINE uint32_t lowest(uint32_t w) { return w & -w; }
    NOINLINE uint32_t rest(uint32_t w) { return w & (w - 1); }
    int main(void) { uint32_t *p = fresh(4); *(uint8_t *)p = 12; if ((lowest(*p) & 255) == 4 && (rest(*p) & 255) == 8) puts("bit"); if (__builtin_ctz(*p) == 2) puts("two"); free(p); return 0; }`,
  ),
  clean(
    "a product's low byte, of a word whose upper bytes are undefined",
    `NOINLINE uint32_t times(uint32_t w) { return w * 2654435761u + 12345; }
    int main(void) { uint32_t *p = fresh(4); *(uint8_t *)p = 12; if ((times(*p) & 255) == ((12u * 2654435761u + 12345) & 255)) puts("low"); free(p); return 0; }`,
  ),
  clean(
    "three bytes of a word are written as text",
    `static const char T[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    NOINLINE void group(char *o, const uint8_t *p) { uint32_t w; memcpy(&w, p, 4); w = __builtin_bswap32(w); for (int i = 0; i < 4; i++) o[i] = T[w >> (26 - 6 * i) & 63]; o[4] = 0; }
    int main(void) { uint8_t *p = fresh(4); p[0] = 'M'; p[1] = 'a'; p[2] = 'n'; char b[5]; group(b, p); puts(b); free(p); return 0; }`,
  ),
  clean(
    "a set of bits whose last word is only begun",
    `NOINLINE int count(const uint32_t *w, int bits) { int n = 0; for (int i = 0; i < bits / 32; i++) n += __builtin_popcount(w[i]); if (bits % 32) n += __builtin_popcount(w[bits / 32] & ((1u << bits % 32) - 1)); return n; }
    int main(void) { uint8_t *p = fresh(16); memset(p, 0x55, 9); if (count((uint32_t *)p, 72 + zero) == 36) puts("36"); free(p); return 0; }`,
  ),
  clean(
    "sums, extremes and counts of parts of arrays of structs with holes",
    `struct s { uint8_t a; uint32_t b; uint8_t c; uint16_t d; };
    NOINLINE unsigned sums(const struct s *v, int n) { unsigned a = 0, b = 0, d = 0; for (int i = 0; i < n; i++) a += v[i].a, b += v[i].b, d += v[i].d; return a + b + d; }
    NOINLINE unsigned most(const struct s *v, int n) { unsigned m = 0; for (int i = 0; i < n; i++) if (v[i].b > m) m = v[i].b; return m; }
    NOINLINE int count(const struct s *v, int n) { int k = 0; for (int i = 0; i < n; i++) k += v[i].d == 3 && v[i].a != 7; return k; }
    int main(void) { struct s *v = fresh(67 * sizeof *v); for (int i = 0; i < 67; i++) v[i].a = i, v[i].b = i * 3, v[i].d = i & 3; if (sums(v, 67) > 6000 && most(v, 67) == 198 && count(v, 67) > 3) puts("sums"); free(v); return 0; }`,
  ),
  clean(
    "colours without their fourth byte, made grey and summed",
    `struct c { uint8_t r, g, b, x; };
    NOINLINE void grey(uint8_t *o, const struct c *p, int n) { for (int i = 0; i < n; i++) o[i] = (p[i].r * 77 + p[i].g * 150 + p[i].b * 29) >> 8; }
    NOINLINE unsigned sum(const uint8_t *p, int n) { unsigned s = 0; for (int i = 0; i < n; i++) s += p[i]; return s; }
    int main(void) { struct c *p = fresh(100 * sizeof *p); uint8_t *o = fresh(128); for (int i = 0; i < 100; i++) p[i].r = i, p[i].g = 2 * i, p[i].b = 255 - i; grey(o, p, 100); if (sum(o, 100) > 1000) puts("grey"); free(p); free(o); return 0; }`,
  ),
  clean(
    "arrays are scaled, clamped, reversed and searched",
    `NOINLINE void scale(int16_t *p, int n, int k) { for (int i = 0; i < n; i++) { int v = p[i] * k >> 4; p[i] = v > 1000 ? 1000 : v < -1000 ? -1000 : v; } }
    NOINLINE void turn(int16_t *p, int n) { for (int i = 0; i < n / 2; i++) { int16_t t = p[i]; p[i] = p[n - 1 - i]; p[n - 1 - i] = t; } }
    NOINLINE int find(const int16_t *p, int n, int v) { for (int i = 0; i < n; i++) if (p[i] == v) return i; return -1; }
    NOINLINE int any(const int16_t *p, int n) { int r = 0; for (int i = 0; i < n; i++) r |= p[i] < 0; return r; }
    int main(void) { int16_t *p = fresh(64 * 2); for (int i = 0; i < 50; i++) p[i] = i * 100 - 2500; scale(p, 50, 20); turn(p, 50); if (any(p, 50) && find(p, 50, 1000) == 0) puts("scaled"); free(p); return 0; }`,
  ),
  clean(
    "floats in parts of an array",
    `struct v { float x, y, z, unused; };
    NOINLINE float dot(const struct v *a, const struct v *b) { return a->x * b->x + a->y * b->y + a->z * b->z; }
    NOINLINE void add(struct v *a, const struct v *b, int n) { for (int i = 0; i < n; i++) a[i].x += b[i].x, a[i].y += b[i].y, a[i].z += b[i].z; }
    int main(void) { struct v *a = fresh(32 * sizeof *a), *b = fresh(32 * sizeof *b); for (int i = 0; i < 32; i++) { a[i].x = i; a[i].y = 1; a[i].z = 2; b[i] = a[i]; b[i].x = 3; } add(a, b, 32); if (dot(a + 3, b) > 5 && dot(a, b) < 1000) puts("dot"); free(a); free(b); return 0; }`,
  ),
  clean(
    "the first characters of lines decide what they are",
    `enum kind { NONE, KEY, SECTION, COMMENT };
    struct line { enum kind kind; char text[20]; };
    NOINLINE void take(struct line *l, const char *s) { switch (*s) { case 0: l->kind = NONE; return; case '[': l->kind = SECTION; break; case '#': case ';': l->kind = COMMENT; return; default: l->kind = KEY; } strncpy(l->text, s, 19); l->text[19] = 0; }
    NOINLINE int weight(const struct line *l) { switch (l->kind) { case NONE: return 0; case KEY: return strlen(l->text); case SECTION: return l->text[1]; case COMMENT: return 1; } return -1; }
    int main(void) { const char *t[] = { "[a]", "key=1", "", "# c", "x=y" }; struct line *v = fresh(5 * sizeof *v); int s = 0; for (int i = 0; i < 5; i++) take(v + i, t[i]); for (int i = 0; i < 5; i++) { struct line c = v[i]; s += weight(&c); } if (s == 97 + 5 + 1 + 3) puts("lines"); free(v); return 0; }`,
  ),
  clean(
    "numbers of variable length, and text in UTF-8",
    `NOINLINE uint8_t *put(uint8_t *p, uint32_t v) { while (v > 127) *p++ = v | 128, v >>= 7; *p++ = v; return p; }
    NOINLINE const uint8_t *get(const uint8_t *p, uint32_t *v) { *v = 0; for (int s = 0;; s += 7) { *v |= (uint32_t)(*p & 127) << s; if (*p++ < 128) return p; } }
    NOINLINE int decode(const uint8_t **p) { int c = *(*p)++; if (c < 0x80) return c; int n = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1; c &= 0x3f >> n; while (n--) c = c << 6 | (*(*p)++ & 0x3f); return c; }
    int main(void) { uint8_t *b = fresh(64), *e = b; for (uint32_t v = 1; v < 1u << 30; v *= 17) e = put(e, v); const uint8_t *p = b; uint32_t v, x = 0; while (p < e) p = get(p, &v), x ^= v; if (x) puts("numbers"); memcpy(b, "a\\xc3\\xa4\\xe2\\x82\\xac", 7); p = b; int s = 0; while (*p) s += decode(&p); if (s == 97 + 228 + 8364) puts("text"); free(b); return 0; }`,
  ),
  clean(
    "pointers with tags in their low bits",
    `struct n { struct n *l, *r; int k; };
    NOINLINE struct n *tag(struct n *p, int c) { return (struct n *)((uintptr_t)p | c); }
    NOINLINE int colour(struct n *p) { return (uintptr_t)p & 1; }
    NOINLINE struct n *of(struct n *p) { return (struct n *)((uintptr_t)p & ~(uintptr_t)3); }
    int main(void) { struct n *a = fresh(sizeof *a), *b = fresh(sizeof *b); b->k = 5; a->l = tag(b, 1); if (colour(a->l) && of(a->l)->k == 5) puts("red"); free(a); free(b); return 0; }`,
  ),
  clean(
    "a sum in which only the upper bits count, of halves that are shifted together",
    `NOINLINE uint64_t pair(uint32_t a, uint32_t b) { return (uint64_t)a << 32 | b; }
    NOINLINE uint64_t add(uint64_t x, uint32_t k) { return x + ((uint64_t)k << 32); }
    int main(void) { uint32_t *p = fresh(8); p[0] = 40; if (add(pair(p[0], p[1]), 2) >> 32 == 42) puts("42"); free(p); return 0; }`,
  ),
  clean(
    "conditional values by masks",
    `NOINLINE uint32_t pick(uint32_t c, uint32_t a, uint32_t b) { uint32_t m = -(c & 1); return (a & m) | (b & ~m); }
    NOINLINE int least(int a, int b) { return b ^ ((a ^ b) & -(a < b)); }
    int main(void) { uint32_t *p = fresh(8); p[0] = 5; if (pick(1 + zero, p[0], p[1]) == 5) puts("first"); if (least(3 + zero, 4) == 3) puts("least"); free(p); return 0; }`,
  ),
  clean(
    "a zero that hides what is behind it",
    `struct list { unsigned n; int v[7]; };
    NOINLINE int sum(const struct list *l) { int s = 0; for (unsigned i = 0; i < 7; i++) s += i < l->n ? l->v[i] : 0; return s; }
    NOINLINE int last(const struct list *l) { return l->n > 0 ? l->v[l->n - 1] : -1; }
    int main(void) { struct list *l = fresh(2 * sizeof *l); l[0].n = 3; for (int i = 0; i < 3; i++) l[0].v[i] = i + 1; l[1].n = 0; if (sum(l) == 6 && sum(l + 1) == 0 && last(l) == 3 && last(l + 1) == -1) puts("six"); free(l); return 0; }`,
  ),
  clean(
    "structs of one, two, three and four words are returned and passed on",
    `struct a { short x; }; struct b { char x; int y; }; struct c { int x; char y; double z; }; struct d { char n[5]; long long v; };
    NOINLINE struct a fa(int k) { struct a r; r.x = k; return r; } NOINLINE struct b fb(int k) { struct b r; r.x = k; r.y = k * 2; return r; }
    NOINLINE struct c fc(int k) { struct c r; r.x = k; r.y = 1; r.z = k; return r; } NOINLINE struct d fd(int k) { struct d r; r.n[0] = k; r.v = k; return r; }
    NOINLINE int use(struct a a, struct b b, struct c c, struct d d) { return a.x == 1 && b.x == 2 && b.y == 4 && c.z == 3 && c.y && d.v == 4 && d.n[0] == 4; }
    int main(void) { if (use(fa(1 + zero), fb(2), fc(3), fd(4))) puts("passed"); return 0; }`,
  ),
  faulty(
    "how many of ten bytes are seven, beyond what can be",
    `int main(void) { uint8_t *p = fresh(10); p[0] = 7; int n = 0; for (int i = 0; i < 10 + zero; i++) if (p[i] == 7) n++; printf("%d\\n", n > 1000); free(p); return 0; }`,
  ),
  faulty(
    "how many of eight halves are above a bound, beyond what can be",
    `int main(void) { int16_t *p = fresh(16); for (int i = 0; i < 6; i++) p[i] = i; unsigned n = 0; for (int i = 0; i < 8 + zero; i++) n += p[i] > 3; puts(n >= 100 ? "many" : "few"); free(p); return 0; }`,
  ),
  faulty(
    "a sum of bytes, beyond what can be",
    `NOINLINE int sum(const uint8_t *p, int n) { int s = 0; for (int i = 0; i < n; i++) s += p[i]; return s; }
    int main(void) { uint8_t *p = fresh(32); memset(p, 1, 30); puts(sum(p, 32) > 100000 ? "more" : "less"); free(p); return 0; }`,
  ),
  faulty(
    "a sum of shorts, beyond what can be",
    `NOINLINE long long sum(const uint16_t *p, int n) { long long s = 0; for (int i = 0; i < n; i++) s += p[i]; return s; }
    int main(void) { uint16_t *p = fresh(32); memset(p, 1, 28); puts(sum(p, 16) > 1000000000 ? "more" : "less"); free(p); return 0; }`,
  ),
  faulty(
    "steps of sixteen, as often as bytes are undefined",
    `int main(void) { uint8_t *p = fresh(12); p[3] = 1; int n = 0; for (int i = 0; i < 12 + zero; i++) if (p[i] & 1) n += 16; printf("%d\\n", n > 5000); free(p); return 0; }`,
  ),
  faulty(
    "the greatest of numbers of which one was never set",
    `NOINLINE int most(const int *p, int n) { int m = 0; for (int i = 0; i < n; i++) m = p[i] > m ? p[i] : m; return m; }
    int main(void) { int *p = fresh(32); for (int i = 0; i < 7; i++) p[i] = i; if (most(p, 8) == 6) puts("six"); else puts("other"); free(p); return 0; }`,
  ),
  faulty(
    "a word's byte that was never set, by a shift",
    `int main(void) { uint8_t *p = fresh(4); p[0] = p[1] = p[3] = 9; uint32_t w; memcpy(&w, p, 4); if ((w >> 16 & 255) == 9) puts("nine"); else puts("other"); free(p); return 0; }`,
  ),
  faulty(
    "a hash of a buffer whose end was never filled",
    `NOINLINE uint32_t fnv(const uint8_t *p, size_t n) { uint32_t h = 2166136261u; while (n--) h = (h ^ *p++) * 16777619u; return h; }
    int main(void) { uint8_t *p = fresh(24); memset(p, 3, 20); if (fnv(p, 24) == 77) puts("77"); else puts("other"); free(p); return 0; }`,
  ),
  faulty(
    "a text that is measured by words and has no end",
    `NOINLINE size_t length(const uint32_t *w, int n) { int i = 0; for (; i < n && !((w[i] - 0x01010101) & ~w[i] & 0x80808080); i++) ; return i; }
    int main(void) { char *s = fresh(16); memset(s, 'x', 8); sink = length((uint32_t *)s, 4); puts("done"); free(s); return 0; }`,
  ),
  faulty(
    "an optional number is used without its flag",
    `struct opt { bool has; int value; };
    NOINLINE struct opt find(int k) { struct opt *o = fresh(sizeof *o); o->has = k > 2; if (o->has) o->value = k; return *o; }
    int main(void) { struct opt o = find(1 + zero); if (o.value > 100) puts("more"); else puts("less"); return 0; }`,
  ),
  faulty(
    "colours are compared with their fourth byte",
    `struct c { uint8_t r, g, b, x; };
    int main(void) { struct c *p = fresh(2 * sizeof *p); for (int i = 0; i < 2; i++) p[i].r = p[i].g = p[i].b = 5; uint32_t a, b; memcpy(&a, p, 4); memcpy(&b, p + 1, 4); puts(a == b ? "same" : "other"); free(p); return 0; }`,
  ),
];
