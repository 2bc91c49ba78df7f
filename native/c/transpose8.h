/* The transposition of 8 × 8 words in AVX registers, for the kernels of AVX2 and wider. */
#ifndef SHOAL_BLAKE3_TRANSPOSE8_H
#define SHOAL_BLAKE3_TRANSPOSE8_H

#include <immintrin.h>

static inline void transpose8(__m256i r[8]) {
    __m256i pair[8], quad[8];
    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        pair[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    /* quad[4 f + w]: words w and 4 + w of rows 4 f … 4 f + 3 */
    for (int i = 0; i < 8; i += 4) {
        quad[i] = _mm256_unpacklo_epi64(pair[i], pair[i + 2]);
        quad[i + 1] = _mm256_unpackhi_epi64(pair[i], pair[i + 2]);
        quad[i + 2] = _mm256_unpacklo_epi64(pair[i + 1], pair[i + 3]);
        quad[i + 3] = _mm256_unpackhi_epi64(pair[i + 1], pair[i + 3]);
    }
    for (int w = 0; w < 4; w++) {
        r[w] = _mm256_permute2x128_si256(quad[w], quad[4 + w], 0x20);
        r[4 + w] = _mm256_permute2x128_si256(quad[w], quad[4 + w], 0x31);
    }
}

/* Stores the eight values whose words are the lanes of h, 32 bytes each. */
static inline void store_values8(unsigned char *out, __m256i h[8]) {
    transpose8(h);
    for (int lane = 0; lane < 8; lane++) {
        _mm256_storeu_si256((__m256i *)(void *)(out + 32 * lane), h[lane]);
    }
}

#endif
