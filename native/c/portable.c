/* The reference kernel: the compression function as the BLAKE3 paper (section 2.2) writes it, one block at a time. */
#include "kernel.h"

#include <string.h>

static uint32_t load_le(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void b3_store(const uint32_t cv[8], uint8_t out[B3_VALUE_LEN]) {
    for (int i = 0; i < 8; i++) {
        for (int byte = 0; byte < 4; byte++) {
            out[4 * i + byte] = (uint8_t)(cv[i] >> (8 * byte));
        }
    }
}

static inline uint32_t rotate_right(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}

/* The quarter round: mixes message words x and y into one column or diagonal of the state. */
static inline void quarter_round(uint32_t v[16], int a, int b, int c, int d, uint32_t x, uint32_t y) {
    v[a] += v[b] + x;
    v[d] = rotate_right(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotate_right(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 7);
}

static const uint32_t iv[8] = {B3_IV};

void b3_compress(uint32_t cv[8], const uint8_t block[B3_BLOCK_LEN], uint32_t len, uint64_t counter, uint32_t flags) {
    uint32_t m[16], v[16];
    for (int i = 0; i < 16; i++) {
        m[i] = load_le(block + 4 * i);
    }
    memcpy(v, cv, 32);
    memcpy(v + 8, iv, 16);
    v[12] = (uint32_t)counter;
    v[13] = (uint32_t)(counter >> 32);
    v[14] = len;
    v[15] = flags;
    for (int r = 0; r < 7; r++) {
        const uint8_t *s = b3_schedule[r];
        quarter_round(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
        quarter_round(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
        quarter_round(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
        quarter_round(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
        quarter_round(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
        quarter_round(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
        quarter_round(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
        quarter_round(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (int i = 0; i < 8; i++) {
        cv[i] = v[i] ^ v[i + 8];
    }
}

static void chunks(const uint8_t *p, size_t n, uint64_t chunk, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        uint32_t cv[8];
        memcpy(cv, iv, sizeof cv);
        for (int b = 0; b < B3_CHUNK_BLOCKS; b++, p += B3_BLOCK_LEN) {
            b3_compress(cv, p, B3_BLOCK_LEN, chunk + i, B3_CHUNK_FLAGS(b));
        }
        b3_store(cv, out + B3_VALUE_LEN * i);
    }
}

static void parents(const uint8_t *pairs, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        uint32_t cv[8];
        memcpy(cv, iv, sizeof cv);
        b3_compress(cv, pairs + 2 * B3_VALUE_LEN * i, B3_BLOCK_LEN, 0, B3_PARENT);
        b3_store(cv, out + B3_VALUE_LEN * i);
    }
}

const b3_kernel b3_kernel_portable = {"portable", chunks, parents};
