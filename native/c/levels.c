/* The kernels that this machine can run. */
#include "kernel.h"

size_t b3_levels(const b3_kernel *out[B3_MAX_LEVELS]) {
    size_t n = 0;
    out[n++] = &b3_kernel_portable;
    return n;
}
