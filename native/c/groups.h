/*
 * Template: hashes GROUPS × LANES chunks or parents at once. Included by lanes.h, for each number of groups that a
 * kernel uses; the functions' names end in it.
 */
#define JOIN(f, groups) f##_##groups
#define EXPAND(f, groups) JOIN(f, groups)
#define NAME(f) EXPAND(f, GROUPS)

#define EACH_GROUP _Pragma("GCC unroll 2") for (int g = 0; g < GROUPS; g++)

/* Between columns and diagonals the groups take turns: the processor works on one while the other waits for results. */
ALWAYS_INLINE void NAME(rounds)(vec v[GROUPS][16], vec m[GROUPS][16]) {
#pragma GCC unroll 7
    for (int r = 0; r < 7; r++) {
        EACH_GROUP mix_columns(v[g], m[g], b3_schedule[r]);
        EACH_GROUP mix_diagonals(v[g], m[g], b3_schedule[r] + 8);
    }
}

/* Compresses one block per lane into h: lane i of group g takes the block at p + (g LANES + i) stride. */
ALWAYS_INLINE void NAME(compress)(vec h[GROUPS][8], const uint8_t *p, size_t stride, const uint32_t *counter_low,
                                  const uint32_t *counter_high, uint32_t flags) {
    vec m[GROUPS][16], v[GROUPS][16];
    EACH_GROUP load_block(m[g], p + (size_t)(g * LANES) * stride, stride);
    /* The words stay in memory, from where additions take them: the registers are for the state. */
    __asm__ volatile("" : : "r"(m) : "memory");
    EACH_GROUP {
        for (int i = 0; i < 8; i++) {
            v[g][i] = h[g][i];
        }
        for (int i = 0; i < 4; i++) {
            v[g][8 + i] = vec_set(iv[i]);
        }
        v[g][12] = vec_load(counter_low + g * LANES);
        v[g][13] = vec_load(counter_high + g * LANES);
        v[g][14] = vec_set(B3_BLOCK_LEN);
        v[g][15] = vec_set(flags);
    }
    NAME(rounds)(v, m);
    EACH_GROUP for (int i = 0; i < 8; i++) {
        h[g][i] = vec_xor(v[g][i], v[g][8 + i]);
    }
}

ALWAYS_INLINE void NAME(start)(vec h[GROUPS][8]) {
    EACH_GROUP for (int i = 0; i < 8; i++) {
        h[g][i] = vec_set(iv[i]);
    }
}

ALWAYS_INLINE void NAME(store_groups)(uint8_t *out, vec h[GROUPS][8]) {
    EACH_GROUP store_values(out + (size_t)(g * LANES) * B3_VALUE_LEN, h[g]);
}

/* Asks for block b of all chunks from p on to be brought into the cache. */
ALWAYS_INLINE void NAME(prefetch)(const uint8_t *p, int b) {
    for (size_t i = 0; i < GROUPS * LANES; i++) {
        __builtin_prefetch(p + i * B3_CHUNK_LEN + b * B3_BLOCK_LEN);
    }
}

/* Hashes GROUPS × LANES chunks. `next` is where as many more follow, or p when none do. */
static void NAME(hash_chunks)(const uint8_t *p, uint64_t chunk, const uint8_t *next, uint8_t *out) {
    uint32_t low[GROUPS * LANES], high[GROUPS * LANES];
    for (uint32_t i = 0; i < GROUPS * LANES; i++) {
        low[i] = (uint32_t)(chunk + i);
        high[i] = (uint32_t)((chunk + i) >> 32);
    }
    vec h[GROUPS][8];
    NAME(start)(h);
    for (int b = 0; b < B3_CHUNK_BLOCKS; b++) {
        bool more = b + 1 < B3_CHUNK_BLOCKS;
        NAME(prefetch)(more ? p : next, more ? b + 1 : 0);
        NAME(compress)(h, p + b * B3_BLOCK_LEN, B3_CHUNK_LEN, low, high, B3_CHUNK_FLAGS(b));
    }
    NAME(store_groups)(out, h);
}

/* Hashes GROUPS × LANES parents. */
static void NAME(hash_parents)(const uint8_t *pairs, uint8_t *out) {
    static const uint32_t zero[GROUPS * LANES];
    vec h[GROUPS][8];
    NAME(start)(h);
    NAME(compress)(h, pairs, B3_BLOCK_LEN, zero, zero, B3_PARENT);
    NAME(store_groups)(out, h);
}

#undef JOIN
#undef EXPAND
#undef NAME
#undef EACH_GROUP
