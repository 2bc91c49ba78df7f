/* Which kernels this processor can run and this operating system lets it run. */
#include "kernel.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <stdbool.h>

struct cpu {
    uint32_t leaf1_ecx, leaf7_ebx; /* feature bits of CPUID */
    uint64_t saved;                /* register states that the system saves (XCR0); 0 without XSAVE */
};

__attribute__((target("xsave"))) static uint64_t saved_states(void) {
    return _xgetbv(0);
}

static struct cpu identify(void) {
    struct cpu cpu = {0};
    uint32_t eax, ebx, ecx, edx;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) {
        cpu.leaf1_ecx = ecx;
    }
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        cpu.leaf7_ebx = ebx;
    }
    if (cpu.leaf1_ecx & bit_OSXSAVE) {
        cpu.saved = saved_states();
    }
    return cpu;
}

static bool has(uint64_t set, uint64_t bits) {
    return (set & bits) == bits;
}

enum { SAVED_YMM = 0x06, SAVED_ZMM = 0xE6 }; /* SSE and AVX; also opmask and both parts of the ZMM registers */

static bool can_sse41(struct cpu cpu) {
    return has(cpu.leaf1_ecx, bit_SSSE3 | bit_SSE4_1);
}

static bool can_avx2(struct cpu cpu) {
    return can_sse41(cpu) && has(cpu.saved, SAVED_YMM) && has(cpu.leaf1_ecx, bit_AVX) && has(cpu.leaf7_ebx, bit_AVX2);
}

static bool can_avx512(struct cpu cpu) {
    return can_avx2(cpu) && has(cpu.saved, SAVED_ZMM) && has(cpu.leaf7_ebx, bit_AVX512F | bit_AVX512VL);
}

static const struct {
    const b3_kernel *kernel;
    bool (*can)(struct cpu);
} simd[] = {{&b3_kernel_avx512, can_avx512}, {&b3_kernel_avx2, can_avx2}, {&b3_kernel_sse41, can_sse41}};

size_t b3_levels(const b3_kernel *out[B3_MAX_LEVELS]) {
    struct cpu cpu = identify();
    size_t n = 0;
    for (size_t i = 0; i < sizeof simd / sizeof *simd; i++) {
        if (simd[i].can(cpu)) {
            out[n++] = simd[i].kernel;
        }
    }
    out[n++] = &b3_kernel_portable;
    return n;
}

#else

size_t b3_levels(const b3_kernel *out[B3_MAX_LEVELS]) {
    out[0] = &b3_kernel_portable;
    return 1;
}

#endif

const char *b3_level_name(const b3_kernel *k) {
    return k->name;
}
