/*
 * The part of a SIMD kernel that all instruction sets share: chunks or parents are hashed side by side, one in each
 * 32-bit lane (BLAKE3 paper, section 5.3). A kernel's file defines what follows, then includes this one.
 *
 *   vec, LANES            a vector and its number of 32-bit lanes
 *   vec_set(x)            x in all lanes
 *   vec_load(p)           lanes from consecutive words
 *   vec_add, vec_xor      lane by lane
 *   vec_ror16, 12, 8, 7   rotation of every lane to the right
 *   vec_park(x)           moves x to memory, or nothing when the registers suffice (see below)
 *   load_block(m, p, s)   word w of the 64-byte blocks at p, p + s, p + 2s, … into the lanes of m[w]
 *   store_values(out, h)  the inverse for chaining values: lane i of h[0…7] to out + 32 i
 *   NARROWER              the kernel that hashes what does not fill the lanes
 *   TWO_GROUPS            defined when two vectors' worth of lanes (groups) are to be interleaved, which hides the
 *                         latency of instructions where there are registers for two states of 16 vectors
 *
 * With 16 registers for a state of 16 vectors, compilers move vectors to memory and back where it delays the next
 * step. Four of the 16 (row c of the paper's figure) are idle for longest: they are parked there on purpose.
 */
#include "kernel.h"

#include <stdbool.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* vec_park for processors with 16 vector registers. */
#define PARK_IN_MEMORY(x) __asm__("" : "+m"(x))

static const uint32_t iv[8] = {B3_IV};

/* The quarter round on elements a, b, c, d of the states, with message words x and y. */
ALWAYS_INLINE void quarter_round(vec v[16], const vec m[16], int a, int b, int c, int d, int x, int y) {
    v[a] = vec_add(v[a], m[x]);
    v[a] = vec_add(v[a], v[b]);
    v[d] = vec_ror16(vec_xor(v[d], v[a]));
    v[c] = vec_add(v[c], v[d]);
    v[b] = vec_ror12(vec_xor(v[b], v[c]));
    v[a] = vec_add(v[a], m[y]);
    v[a] = vec_add(v[a], v[b]);
    v[d] = vec_ror8(vec_xor(v[d], v[a]));
    v[c] = vec_add(v[c], v[d]);
    v[b] = vec_ror7(vec_xor(v[b], v[c]));
    vec_park(v[c]);
}

ALWAYS_INLINE void mix_columns(vec v[16], const vec m[16], const uint8_t *words) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        quarter_round(v, m, i, 4 + i, 8 + i, 12 + i, words[2 * i], words[2 * i + 1]);
    }
}

ALWAYS_INLINE void mix_diagonals(vec v[16], const vec m[16], const uint8_t *words) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        int b = 4 + (i + 1) % 4, c = 8 + (i + 2) % 4, d = 12 + (i + 3) % 4;
        quarter_round(v, m, i, b, c, d, words[2 * i], words[2 * i + 1]);
    }
}

#define GROUPS 1
#include "groups.h"
#undef GROUPS

#ifdef TWO_GROUPS
#define GROUPS 2
#include "groups.h"
#undef GROUPS
#endif

/* Where the prefetching goes on after the `width` chunks at p, n of which are left. */
static inline const uint8_t *following(const uint8_t *p, size_t n, size_t width) {
    return n >= 2 * width ? p + width * B3_CHUNK_LEN : p;
}

static void chunks(const uint8_t *p, size_t n, uint64_t chunk, uint8_t *out) {
#ifdef TWO_GROUPS
    enum { TWO = 2 * LANES };
    for (; n >= TWO; n -= TWO, p += TWO * B3_CHUNK_LEN, chunk += TWO, out += TWO * B3_VALUE_LEN) {
        hash_chunks_2(p, chunk, following(p, n, TWO), out);
    }
#endif
    for (; n >= LANES; n -= LANES, p += LANES * B3_CHUNK_LEN, chunk += LANES, out += LANES * B3_VALUE_LEN) {
        hash_chunks_1(p, chunk, following(p, n, LANES), out);
    }
    if (n > 0) {
        NARROWER.chunks(p, n, chunk, out);
    }
}

static void parents(const uint8_t *pairs, size_t n, uint8_t *out) {
#ifdef TWO_GROUPS
    enum { TWO = 2 * LANES };
    for (; n >= TWO; n -= TWO, pairs += TWO * B3_BLOCK_LEN, out += TWO * B3_VALUE_LEN) {
        hash_parents_2(pairs, out);
    }
#endif
    for (; n >= LANES; n -= LANES, pairs += LANES * B3_BLOCK_LEN, out += LANES * B3_VALUE_LEN) {
        hash_parents_1(pairs, out);
    }
    if (n > 0) {
        NARROWER.parents(pairs, n, out);
    }
}
