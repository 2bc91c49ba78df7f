/*
 * BLAKE3 (unkeyed, 256-bit) over whole buffers and over parts of a file's hash tree.
 *
 * The tree (BLAKE3 paper, section 2): a file is cut into chunks of 1,024 bytes, the last one possibly shorter; chunks
 * are hashed to chaining values of 32 bytes, and neighbours are combined pairwise, left-full, up to the root. The
 * chaining value of any complete subtree can therefore be computed from its own bytes and the index of its first chunk.
 *
 * Units: every `len` is in bytes, every `chunk` is a chunk index (byte offset in the file / 1,024), every hash or
 * chaining value is 32 bytes in the order in which b3sum prints them; lists of values are packed, 32 bytes apart.
 * Alignment: none is required of any pointer.
 * Ownership: callers own all buffers; nothing is kept after a call, nothing is allocated (a call uses at most about
 * 200 KiB of stack). Inputs and outputs must not overlap.
 * Concurrency: all functions may be called from any number of threads at once; there is no mutable global state.
 */
#ifndef SHOAL_BLAKE3_H
#define SHOAL_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

#define B3_VALUE_LEN 32
#define B3_CHUNK_LEN 1024
#define B3_MAX_LEVELS 8

/* One implementation of the compression function, for one instruction set. Never freed. */
typedef struct b3_kernel b3_kernel;

/* Writes the kernels that this processor and operating system can run, fastest first, and returns their number. */
size_t b3_levels(const b3_kernel *out[B3_MAX_LEVELS]);

/* The name of the kernel: "avx512", "avx2", "sse41" or "portable". A constant string. */
const char *b3_level_name(const b3_kernel *k);

/* The hash of a whole file that lies in memory: what b3sum prints. `p` may be NULL when `len` is 0. */
void b3_sum(const b3_kernel *k, const uint8_t *p, size_t len, uint8_t out[B3_VALUE_LEN]);

/*
 * The chaining values (without the root flag) of consecutive blocks of `block_len` bytes; the last one may be shorter.
 * `len` is at least 1, `block_len` a power of two of at least 1,024, `chunk` a multiple of block_len / 1,024 (so that
 * each block is a subtree). Writes ceil(len / block_len) values to `out`.
 */
void b3_block_values(const b3_kernel *k, const uint8_t *p, size_t len, uint64_t chunk, size_t block_len, uint8_t *out);

/* The chaining value of the subtree that the bytes p[0..len) form, `len` at least 1: one block of any length. */
void b3_chaining_value(const b3_kernel *k, const uint8_t *p, size_t len, uint64_t chunk, uint8_t out[B3_VALUE_LEN]);

/*
 * Combines `n` values of equally large neighbouring subtrees (the last one may be smaller) left-full into one. With
 * `root` not 0 the last combination carries the root flag and the result is the hash of the file; `n` is then at
 * least 2, else at least 1.
 */
void b3_combine(const b3_kernel *k, const uint8_t *values, size_t n, int root, uint8_t out[B3_VALUE_LEN]);

#endif
