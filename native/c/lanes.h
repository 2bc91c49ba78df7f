/*
 * The part of a SIMD kernel that all instruction sets share: chunks or parents are hashed side by side, one in each
 * 32-bit lane (BLAKE3 paper, section 5.3); two vectors' worth of lanes, called groups, are interleaved to hide the
 * latency of instructions. A kernel's file defines what follows, then includes this one.
 *
 *   vec, LANES            a vector and its number of 32-bit lanes
 *   vec_set(x)            x in all lanes
 *   vec_load(p)           lanes from consecutive words
 *   vec_add, vec_xor      lane by lane
 *   vec_ror16, 12, 8, 7   rotation of every lane to the right
 *   load_block(m, p, s)   word w of the 64-byte blocks at p, p + s, p + 2s, … into the lanes of m[w]
 *   store_values(out, h)  the inverse for chaining values: lane i of h[0…7] to out + 32 i
 *   NARROWER              the kernel that hashes what does not fill the lanes
 */
#include "kernel.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static const uint32_t iv[8] = {B3_IV};

#define GROUPS 1
#include "groups.h"
#undef GROUPS
#define GROUPS 2
#include "groups.h"
#undef GROUPS

static void chunks(const uint8_t *p, size_t n, uint64_t chunk, uint8_t *out) {
    enum { TWO = 2 * LANES };
    for (; n >= TWO; n -= TWO, p += TWO * B3_CHUNK_LEN, chunk += TWO, out += TWO * B3_VALUE_LEN) {
        hash_chunks_2(p, chunk, out);
    }
    if (n >= LANES) {
        hash_chunks_1(p, chunk, out);
        n -= LANES, p += LANES * B3_CHUNK_LEN, chunk += LANES, out += LANES * B3_VALUE_LEN;
    }
    if (n > 0) {
        NARROWER.chunks(p, n, chunk, out);
    }
}

static void parents(const uint8_t *pairs, size_t n, uint8_t *out) {
    enum { TWO = 2 * LANES };
    for (; n >= TWO; n -= TWO, pairs += TWO * B3_BLOCK_LEN, out += TWO * B3_VALUE_LEN) {
        hash_parents_2(pairs, out);
    }
    if (n >= LANES) {
        hash_parents_1(pairs, out);
        n -= LANES, pairs += LANES * B3_BLOCK_LEN, out += LANES * B3_VALUE_LEN;
    }
    if (n > 0) {
        NARROWER.parents(pairs, n, out);
    }
}
