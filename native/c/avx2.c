/* Eight lanes with AVX2. */
#include "kernel.h"
#include "transpose8.h"

typedef __m256i vec;
enum { LANES = 8 };
#define NARROWER b3_kernel_sse41

/* The bytes of every word, in the given order. */
#define BYTES(a, b, c, d)                                                                                              \
    _mm256_broadcastsi128_si256(_mm_setr_epi8(a, b, c, d, a + 4, b + 4, c + 4, d + 4, a + 8, b + 8, c + 8, d + 8,      \
                                              a + 12, b + 12, c + 12, d + 12))

#define vec_set(x) _mm256_set1_epi32((int)(x))
#define vec_load(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define vec_add _mm256_add_epi32
#define vec_xor _mm256_xor_si256
#define vec_ror16(x) _mm256_shuffle_epi8(x, BYTES(2, 3, 0, 1))
#define vec_ror12(x) _mm256_or_si256(_mm256_srli_epi32(x, 12), _mm256_slli_epi32(x, 20))
#define vec_ror8(x) _mm256_shuffle_epi8(x, BYTES(1, 2, 3, 0))
#define vec_ror7(x) _mm256_or_si256(_mm256_srli_epi32(x, 7), _mm256_slli_epi32(x, 25))
#define vec_park PARK_IN_MEMORY

static inline void load_block(vec m[16], const uint8_t *p, size_t stride) {
    for (size_t half = 0; half < 2; half++) {
        for (size_t lane = 0; lane < LANES; lane++) {
            m[8 * half + lane] = vec_load(p + lane * stride + 32 * half);
        }
        transpose8(m + 8 * half);
    }
}

#define store_values store_values8

#include "lanes.h"

const b3_kernel b3_kernel_avx2 = {"avx2", chunks, parents};
