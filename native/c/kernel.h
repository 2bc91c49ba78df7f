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

/* The pair (start, end) of flags that a chunk's block `b` carries. */
#define B3_CHUNK_FLAGS(b) ((uint32_t)((b) == 0 ? B3_CHUNK_START : 0) | ((b) == B3_CHUNK_BLOCKS - 1 ? B3_CHUNK_END : 0))

struct b3_kernel {
    const char *name;

    /* Chaining values of `n` whole consecutive chunks, the first of which has index `chunk`. */
    void (*chunks)(const uint8_t *p, size_t n, uint64_t chunk, uint8_t *out);

    /* Chaining values of `n` parents; `pairs` are their 2n children in order. `out` does not overlap `pairs`. */
    void (*parents)(const uint8_t *pairs, size_t n, uint8_t *out);
};

extern const b3_kernel b3_kernel_portable;
#if defined(__x86_64__)
extern const b3_kernel b3_kernel_sse41;
extern const b3_kernel b3_kernel_avx2;
extern const b3_kernel b3_kernel_avx512;
#endif

/* The initial chaining value (BLAKE3 paper, table 1), as eight elements of an initialiser. */
#define B3_IV 0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19

/* The order in which each round takes the message words: the paper's permutation (table 2), applied 0 to 6 times. */
static const uint8_t b3_schedule[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1}, {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4}, {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

/* Compresses one block of `len` (0…64) bytes, padded with zeros to 64, into the chaining value `cv`. */
void b3_compress(uint32_t cv[8], const uint8_t block[B3_BLOCK_LEN], uint32_t len, uint64_t counter, uint32_t flags);

/* Stores a chaining value as bytes. */
void b3_store(const uint32_t cv[8], uint8_t out[B3_VALUE_LEN]);

#endif
