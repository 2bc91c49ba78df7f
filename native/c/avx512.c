/* Sixteen lanes with AVX-512 (F and VL), in two interleaved groups: their states fill the 32 registers. */
#include "kernel.h"
#include "transpose8.h"

typedef __m512i vec;
enum { LANES = 16 };
#define TWO_GROUPS
#define NARROWER b3_kernel_avx2

#define vec_set(x) _mm512_set1_epi32((int)(x))
#define vec_load(p) _mm512_loadu_si512(p)
#define vec_add _mm512_add_epi32
#define vec_xor _mm512_xor_si512
#define vec_ror16(x) _mm512_ror_epi32(x, 16)
#define vec_ror12(x) _mm512_ror_epi32(x, 12)
#define vec_ror8(x) _mm512_ror_epi32(x, 8)
#define vec_ror7(x) _mm512_ror_epi32(x, 7)
#define vec_park(x) ((void)0)

/* Transposes 16 × 16 words: first within quarters (128 bits) of four rows, then the quarters of all rows. */
static inline void load_block(vec m[16], const uint8_t *p, size_t stride) {
    vec row[16], pair[16], quad[16];
    for (size_t lane = 0; lane < LANES; lane++) {
        row[lane] = vec_load(p + lane * stride);
    }
    for (int i = 0; i < 16; i += 2) {
        pair[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
        pair[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
    }
    /* quad[4 f + w]: words w, 4 + w, 8 + w and 12 + w of rows 4 f … 4 f + 3 */
    for (int i = 0; i < 16; i += 4) {
        quad[i] = _mm512_unpacklo_epi64(pair[i], pair[i + 2]);
        quad[i + 1] = _mm512_unpackhi_epi64(pair[i], pair[i + 2]);
        quad[i + 2] = _mm512_unpacklo_epi64(pair[i + 1], pair[i + 3]);
        quad[i + 3] = _mm512_unpackhi_epi64(pair[i + 1], pair[i + 3]);
    }
    for (int w = 0; w < 4; w++) {
        vec even0 = _mm512_shuffle_i32x4(quad[w], quad[4 + w], 0x88);
        vec odd0 = _mm512_shuffle_i32x4(quad[w], quad[4 + w], 0xDD);
        vec even1 = _mm512_shuffle_i32x4(quad[8 + w], quad[12 + w], 0x88);
        vec odd1 = _mm512_shuffle_i32x4(quad[8 + w], quad[12 + w], 0xDD);
        m[w] = _mm512_shuffle_i32x4(even0, even1, 0x88);
        m[4 + w] = _mm512_shuffle_i32x4(odd0, odd1, 0x88);
        m[8 + w] = _mm512_shuffle_i32x4(even0, even1, 0xDD);
        m[12 + w] = _mm512_shuffle_i32x4(odd0, odd1, 0xDD);
    }
}

static inline void store_values(uint8_t *out, const vec h[8]) {
    __m256i low[8], high[8];
    for (int i = 0; i < 8; i++) {
        low[i] = _mm512_castsi512_si256(h[i]);
        high[i] = _mm512_extracti64x4_epi64(h[i], 1);
    }
    store_values8(out, low);
    store_values8(out + 8 * B3_VALUE_LEN, high);
}

#include "lanes.h"

const b3_kernel b3_kernel_avx512 = {"avx512", chunks, parents};
