/*
 * What a kernel is, and what the tree (tree.c) asks of it. A further instruction set is one more file with one more
 * `b3_kernel`, and one more row in levels.c.
 */
#ifndef SHOAL_BLAKE3_KERNEL_H
#define SHOAL_BLAKE3_KERNEL_H

#include "blake3.h"

#define B3_BLOCK_LEN 64
#define B3_CHUNK_BLOCKS (B3_CHUNK_LEN / B3_BLOCK_LEN)

/* Domain flags (BLAKE3 paper, table 3). */
enum { B3_CHUNK_START = 1, B3_CHUNK_END = 2, B3_PARENT = 4, B3_ROOT = 8 };

struct b3_kernel {
    const char *name;

    /* Compresses one block of `len` (0…64) bytes, padded with zeros to 64, into the chaining value `cv`. */
    void (*compress)(uint32_t cv[8], const uint8_t block[B3_BLOCK_LEN], uint32_t len, uint64_t counter, uint32_t flags);

    /* Chaining values of `n` whole consecutive chunks, the first of which has index `chunk`. */
    void (*chunks)(const uint8_t *p, size_t n, uint64_t chunk, uint8_t *out);

    /* Chaining values of `n` parents; `pairs` are their 2n children in order. `out` does not overlap `pairs`. */
    void (*parents)(const uint8_t *pairs, size_t n, uint8_t *out);
};

/* The initial chaining value, and the order in which round r takes the message words (the permutation applied r times). */
extern const uint32_t b3_iv[8];
extern const uint8_t b3_schedule[7][16];

extern const b3_kernel b3_kernel_portable;
#if defined(__x86_64__)
extern const b3_kernel b3_kernel_sse41;
extern const b3_kernel b3_kernel_avx2;
extern const b3_kernel b3_kernel_avx512;
#endif

/* Stores a chaining value as bytes. */
void b3_store(const uint32_t cv[8], uint8_t out[B3_VALUE_LEN]);

#endif
