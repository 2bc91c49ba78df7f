/*
 * The hash tree over any kernel. Nodes are gathered level by level, and a level's nodes are combined many at a time, so
 * that parents fill a kernel's lanes as chunks do. At the end of the input, each level's pairs are combined and an odd
 * last node moves up as it is: that makes the left-full tree of the paper (section 2.1).
 */
#include "kernel.h"

#include <string.h>

static const uint32_t iv[8] = {B3_IV};

/* A level is combined when it has BATCH nodes; until the end a batch adds half as many to the level above. */
enum { BATCH = 64, LEVELS = 54 };

struct level {
    size_t n;
    uint8_t values[(BATCH + BATCH / 2 + 1) * B3_VALUE_LEN];
};

struct tree {
    const b3_kernel *k;
    unsigned top;  /* nodes of this level are not combined any more, but go to `out` */
    unsigned used; /* levels that have been initialised */
    uint8_t *out;
    struct level level[LEVELS];
};

static void init(struct tree *t, const b3_kernel *k, unsigned top, uint8_t *out) {
    t->k = k;
    t->top = top;
    t->used = 0;
    t->out = out;
}

/* Where the next nodes of a level go. */
static uint8_t *room(struct tree *t, unsigned level) {
    if (level == t->top) {
        return t->out;
    }
    if (level == t->used) {
        t->level[t->used++].n = 0;
    }
    return t->level[level].values + t->level[level].n * B3_VALUE_LEN;
}

/* Takes note of `n` nodes written to room(t, level). */
static void added(struct tree *t, unsigned level, size_t n) {
    if (level == t->top) {
        t->out += n * B3_VALUE_LEN;
    } else {
        t->level[level].n += n;
    }
}

/* Combines every level that has a batch. Until the end of the input all levels hold multiples of half a batch. */
static void carry(struct tree *t, unsigned level) {
    for (; level < t->top && t->level[level].n == BATCH; level++) {
        t->k->parents(t->level[level].values, BATCH / 2, room(t, level + 1));
        t->level[level].n = 0;
        added(t, level + 1, BATCH / 2);
    }
}

/* Combines what is left, from the lowest level up, until a level below the top is the last and has `keep` nodes or
 * fewer; returns that level, or NULL when everything went out at the top. */
static struct level *finish(struct tree *t, size_t keep) {
    for (unsigned i = 0; i < t->used && i < t->top; i++) {
        struct level *l = &t->level[i];
        if (i + 1 == t->used && l->n <= keep) {
            return l;
        }
        uint8_t *next = room(t, i + 1);
        t->k->parents(l->values, l->n / 2, next);
        if (l->n % 2 != 0) {
            memcpy(next + l->n / 2 * B3_VALUE_LEN, l->values + (l->n - 1) * B3_VALUE_LEN, B3_VALUE_LEN);
        }
        added(t, i + 1, (l->n + 1) / 2);
    }
    return NULL;
}

/* One chunk of `len` (0…1,024) bytes. */
static void chunk_value(const uint8_t *p, size_t len, uint64_t chunk, uint32_t root, uint8_t *out) {
    uint32_t cv[8], flags = B3_CHUNK_START;
    memcpy(cv, iv, sizeof cv);
    for (; len > B3_BLOCK_LEN; p += B3_BLOCK_LEN, len -= B3_BLOCK_LEN, flags = 0) {
        b3_compress(cv, p, B3_BLOCK_LEN, chunk, flags);
    }
    uint8_t last[B3_BLOCK_LEN] = {0};
    if (len > 0) {
        memcpy(last, p, len);
    }
    b3_compress(cv, last, (uint32_t)len, chunk, flags | B3_CHUNK_END | root);
    b3_store(cv, out);
}

static void add_chunks(struct tree *t, const uint8_t *p, size_t len, uint64_t chunk) {
    for (; len >= BATCH * B3_CHUNK_LEN; p += BATCH * B3_CHUNK_LEN, len -= BATCH * B3_CHUNK_LEN, chunk += BATCH) {
        t->k->chunks(p, BATCH, chunk, room(t, 0));
        added(t, 0, BATCH);
        carry(t, 0);
    }
    size_t whole = len / B3_CHUNK_LEN, rest = len % B3_CHUNK_LEN;
    if (whole > 0) {
        t->k->chunks(p, whole, chunk, room(t, 0));
        added(t, 0, whole);
    }
    if (rest > 0) {
        chunk_value(p + whole * B3_CHUNK_LEN, rest, chunk + whole, 0, room(t, 0));
        added(t, 0, 1);
    }
}

/* The root: what finish(t, 2) left are the root's two children. */
static void root_of(const struct level *children, uint8_t out[B3_VALUE_LEN]) {
    uint32_t cv[8];
    memcpy(cv, iv, sizeof cv);
    b3_compress(cv, children->values, B3_BLOCK_LEN, 0, B3_PARENT | B3_ROOT);
    b3_store(cv, out);
}

void b3_sum(const b3_kernel *k, const uint8_t *p, size_t len, uint8_t out[B3_VALUE_LEN]) {
    if (len <= B3_CHUNK_LEN) {
        chunk_value(p, len, 0, B3_ROOT, out);
        return;
    }
    struct tree t;
    init(&t, k, LEVELS, NULL);
    add_chunks(&t, p, len, 0);
    root_of(finish(&t, 2), out);
}

void b3_block_values(const b3_kernel *k, const uint8_t *p, size_t len, uint64_t chunk, size_t block_len, uint8_t *out) {
    unsigned top = 0;
    while ((size_t)B3_CHUNK_LEN << top < block_len) {
        top++;
    }
    struct tree t;
    init(&t, k, top, out);
    add_chunks(&t, p, len, chunk);
    finish(&t, 0);
}

void b3_chaining_value(const b3_kernel *k, const uint8_t *p, size_t len, uint64_t chunk, uint8_t out[B3_VALUE_LEN]) {
    if (len <= B3_CHUNK_LEN) {
        chunk_value(p, len, chunk, 0, out);
        return;
    }
    struct tree t;
    init(&t, k, LEVELS, NULL);
    add_chunks(&t, p, len, chunk);
    memcpy(out, finish(&t, 1)->values, B3_VALUE_LEN);
}

void b3_combine(const b3_kernel *k, const uint8_t *values, size_t n, int root, uint8_t out[B3_VALUE_LEN]) {
    struct tree t;
    init(&t, k, LEVELS, NULL);
    for (; n >= BATCH; n -= BATCH, values += BATCH * B3_VALUE_LEN) {
        memcpy(room(&t, 0), values, BATCH * B3_VALUE_LEN);
        added(&t, 0, BATCH);
        carry(&t, 0);
    }
    memcpy(room(&t, 0), values, n * B3_VALUE_LEN);
    added(&t, 0, n);
    const struct level *last = finish(&t, root ? 2 : 1);
    if (root) {
        root_of(last, out);
    } else {
        memcpy(out, last->values, B3_VALUE_LEN);
    }
}
