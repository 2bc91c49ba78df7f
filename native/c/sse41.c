/* Four lanes with SSE4.1. */
#include "kernel.h"

#include <smmintrin.h>

typedef __m128i vec;
enum { LANES = 4 };
#define NARROWER b3_kernel_portable

#define vec_set(x) _mm_set1_epi32((int)(x))
#define vec_load(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define vec_add _mm_add_epi32
#define vec_xor _mm_xor_si128
#define vec_ror16(x) _mm_shuffle_epi8(x, _mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13))
#define vec_ror12(x) _mm_or_si128(_mm_srli_epi32(x, 12), _mm_slli_epi32(x, 20))
#define vec_ror8(x) _mm_shuffle_epi8(x, _mm_setr_epi8(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12))
#define vec_ror7(x) _mm_or_si128(_mm_srli_epi32(x, 7), _mm_slli_epi32(x, 25))
#define vec_park PARK_IN_MEMORY

/* Transposes the 4 × 4 words of r. */
static inline void transpose(vec r[4]) {
    vec ab_low = _mm_unpacklo_epi32(r[0], r[1]), ab_high = _mm_unpackhi_epi32(r[0], r[1]);
    vec cd_low = _mm_unpacklo_epi32(r[2], r[3]), cd_high = _mm_unpackhi_epi32(r[2], r[3]);
    r[0] = _mm_unpacklo_epi64(ab_low, cd_low);
    r[1] = _mm_unpackhi_epi64(ab_low, cd_low);
    r[2] = _mm_unpacklo_epi64(ab_high, cd_high);
    r[3] = _mm_unpackhi_epi64(ab_high, cd_high);
}

static inline void load_block(vec m[16], const uint8_t *p, size_t stride) {
    for (size_t quarter = 0; quarter < 4; quarter++) {
        for (size_t lane = 0; lane < 4; lane++) {
            m[4 * quarter + lane] = vec_load(p + lane * stride + 16 * quarter);
        }
        transpose(m + 4 * quarter);
    }
}

static inline void store_values(uint8_t *out, vec h[8]) {
    for (size_t half = 0; half < 2; half++) {
        transpose(h + 4 * half);
        for (size_t lane = 0; lane < 4; lane++) {
            _mm_storeu_si128((__m128i *)(void *)(out + B3_VALUE_LEN * lane + 16 * half), h[4 * half + lane]);
        }
    }
}

#include "lanes.h"

const b3_kernel b3_kernel_sse41 = {"sse41", chunks, parents};
