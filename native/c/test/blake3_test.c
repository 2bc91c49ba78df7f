/*
 * Every level against the definition: a plain recursion over the tree on one-block compressions, itself checked against
 * published hashes. Inputs lie in memory of exactly their size, so that the sanitizers see any access beyond.
 */
#include "kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const b3_kernel *levels[B3_MAX_LEVELS];
static size_t level_count;
static int failures;

static void expect(int ok, const b3_kernel *k, const char *what, size_t len, uint64_t chunk) {
    if (!ok) {
        failures++;
        fprintf(stderr, "%s: %s differs for %zu bytes at chunk %llu\n", k->name, what, len, (unsigned long long)chunk);
    }
}

/* The next pseudo-random number (xorshift64, Marsaglia 2003). */
static uint64_t next_random(void) {
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static uint8_t *allocate(size_t len) {
    uint8_t *p = malloc(len > 0 ? len : 1);
    if (p == NULL) {
        perror("allocating the test's input");
        exit(1);
    }
    return p;
}

static size_t chunk_count(size_t len) {
    return len <= B3_CHUNK_LEN ? 1 : (len - 1) / B3_CHUNK_LEN + 1;
}

/* The definition: chunks of up to 16 blocks, and parents whose left side is the largest possible power of two. */
static void define(const uint8_t *p, size_t len, uint64_t chunk, uint32_t root, uint8_t out[B3_VALUE_LEN]) {
    uint32_t cv[8] = {B3_IV};
    uint8_t block[B3_BLOCK_LEN];
    if (chunk_count(len) == 1) {
        uint32_t flags = B3_CHUNK_START;
        for (; len > B3_BLOCK_LEN; p += B3_BLOCK_LEN, len -= B3_BLOCK_LEN, flags = 0) {
            b3_compress(cv, p, B3_BLOCK_LEN, chunk, flags);
        }
        memset(block, 0, sizeof block);
        memcpy(block, p, len);
        b3_compress(cv, block, (uint32_t)len, chunk, flags | B3_CHUNK_END | root);
    } else {
        size_t left = 1;
        while (2 * left < chunk_count(len)) {
            left *= 2;
        }
        size_t left_len = left * B3_CHUNK_LEN;
        define(p, left_len, chunk, 0, block);
        define(p + left_len, len - left_len, chunk + left, 0, block + B3_VALUE_LEN);
        b3_compress(cv, block, B3_BLOCK_LEN, 0, B3_PARENT | root);
    }
    b3_store(cv, out);
}

static void test_published(void) {
    static const struct {
        size_t len;
        const char *hash;
    } known[] = {
        {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
        {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
        {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
        {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
        {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint8_t *p = allocate(known[i].len), out[B3_VALUE_LEN];
        for (size_t j = 0; j < known[i].len; j++) {
            p[j] = (uint8_t)(j % 251);
        }
        char hex[2 * B3_VALUE_LEN + 1];
        define(p, known[i].len, 0, B3_ROOT, out);
        for (size_t j = 0; j < B3_VALUE_LEN; j++) {
            snprintf(hex + 2 * j, 3, "%02x", out[j]);
        }
        expect(strcmp(hex, known[i].hash) == 0, &b3_kernel_portable, "published hash", known[i].len, 0);
        free(p);
    }
}

/* The hash of p, and its value at `chunk`, at every level. */
static void test_whole(const uint8_t *p, size_t len, uint64_t chunk) {
    uint8_t sum[B3_VALUE_LEN], value[B3_VALUE_LEN], out[B3_VALUE_LEN];
    define(p, len, 0, B3_ROOT, sum);
    define(p, len, chunk, 0, value);
    for (size_t i = 0; i < level_count; i++) {
        b3_sum(levels[i], p, len, out);
        expect(memcmp(out, sum, sizeof out) == 0, levels[i], "hash", len, 0);
        if (len > 0) {
            b3_chaining_value(levels[i], p, len, chunk, out);
            expect(memcmp(out, value, sizeof out) == 0, levels[i], "chaining value", len, chunk);
        }
    }
}

/* p's blocks and their combinations, at every level. */
static void test_blocks(const uint8_t *p, size_t len, uint64_t chunk, size_t block_len) {
    size_t n = (len - 1) / block_len + 1;
    uint8_t *values = allocate(n * B3_VALUE_LEN), want[B3_VALUE_LEN], out[B3_VALUE_LEN];
    for (size_t i = 0; i < level_count; i++) {
        b3_block_values(levels[i], p, len, chunk, block_len, values);
        for (size_t j = 0; j < n; j++) {
            size_t off = j * block_len, rest = len - off;
            define(p + off, rest < block_len ? rest : block_len, chunk + off / B3_CHUNK_LEN, 0, want);
            expect(memcmp(values + j * B3_VALUE_LEN, want, sizeof want) == 0, levels[i], "block value", len, chunk);
        }
        b3_combine(levels[i], values, n, 0, out);
        define(p, len, chunk, 0, want);
        expect(memcmp(out, want, sizeof want) == 0, levels[i], "combination", len, chunk);
        if (n >= 2) {
            b3_combine(levels[i], values, n, 1, out);
            define(p, len, chunk, B3_ROOT, want);
            expect(memcmp(out, want, sizeof want) == 0, levels[i], "root", len, chunk);
        }
    }
    free(values);
}

int main(void) {
    level_count = b3_levels(levels);
    test_published();
    for (size_t len = 0; len <= 4200; len++) {
        uint8_t *p = allocate(len);
        for (size_t i = 0; i < len; i++) {
            p[i] = (uint8_t)next_random();
        }
        test_whole(p, len, (uint64_t)1 << 32);
        free(p);
    }
    enum { MAX = 300 * 1024 };
    uint8_t *random = allocate(MAX);
    for (size_t i = 0; i < MAX; i++) {
        random[i] = (uint8_t)next_random();
    }
    for (int round = 0; round < 100; round++) {
        size_t len = 1 + next_random() % (MAX >> next_random() % 8), block_len = (size_t)1024 << next_random() % 9;
        size_t misalignment = next_random() % 64;
        uint8_t *p = allocate(misalignment + len), *misaligned = p + misalignment;
        memcpy(misaligned, random, len);
        /* Chunk indices around the carry into the upper half of the counter, and multiples of the block's chunks. */
        test_whole(misaligned, len, ((uint64_t)1 << 32) - next_random() % 300);
        test_blocks(misaligned, len, (next_random() >> 1) / block_len * block_len, block_len);
        free(p);
    }
    free(random);
    printf("%zu levels:", level_count);
    for (size_t i = 0; i < level_count; i++) {
        printf(" %s", b3_level_name(levels[i]));
    }
    printf(", %d failures\n", failures);
    return failures != 0;
}
