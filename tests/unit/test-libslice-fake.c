// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-libslice-fake.c - see test-libslice-fake.h
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slice-word.h"
#include "test-libslice-fake.h"

#define N_CAPSULES 256
#define N_DEPS 256
#define N_EVENTS 16
#define INCARNATION 7

struct fake_capsule {
    bool used;
    bool left;
    uint32_t pinned;
    ino_t socket;
    struct slice_register reg;
    void *memory;
};

struct fake {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    slice_word *words;
    struct fake_capsule capsules[N_CAPSULES];
    struct slice_dep deps[N_DEPS];
    unsigned n_deps;
    struct slice_event events[N_EVENTS];
    unsigned n_events;
    uint64_t counter;
    unsigned n_ref_calls;
    bool has_layer;
    bool answered;
    struct slice_capsule_op answer;
    unsigned long fail_request;
    int fail_errno;
    int eventfd;
    uint32_t room;
    fake_elsewhere elsewhere;
};

struct fake *fake_new(void)
{
    struct fake *fake = calloc(1, sizeof(*fake));

    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
    fake->words = calloc(1, SLICE_WORDS_BYTES);
    fake->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fake->room = SLICE_ROOM_NO_LIMIT;
    return fake;
}

void fake_free(struct fake *fake)
{
    for (unsigned i = 0; i < N_CAPSULES; i++) {
        free(fake->capsules[i].memory);
    }
    close(fake->eventfd);
    free(fake->words);
    free(fake);
}

static struct fake_capsule *find(struct fake *fake, const struct slice_id *id)
{
    for (unsigned i = 0; i < N_CAPSULES; i++) {
        struct fake_capsule *c = &fake->capsules[i];

        if (c->used && slice_id_equal(&c->reg.id, id)) {
            return c;
        }
    }
    return NULL;
}

static struct fake_capsule *find_key(struct fake *fake,
                                     const struct slice_register *reg)
{
    for (unsigned i = 0; i < N_CAPSULES; i++) {
        struct fake_capsule *c = &fake->capsules[i];

        if (c->used && !c->left && reg->key_bytes &&
            c->reg.key_bytes == reg->key_bytes &&
            !memcmp(c->reg.key, reg->key, reg->key_bytes)) {
            return c;
        }
    }
    return NULL;
}

static int do_register(struct fake *fake, struct slice_register *reg)
{
    if (!fake->has_layer) {
        return -EINVAL;
    }
    if (find_key(fake, reg)) {
        return -EEXIST;
    }
    for (unsigned i = 0; i < N_CAPSULES; i++) {
        struct fake_capsule *c = &fake->capsules[i];

        if (c->used) {
            continue;
        }
        reg->bytes = (reg->bytes + 4095) & ~4095ULL;
        reg->id.incarnation = INCARNATION;
        reg->id.counter = ++fake->counter;
        reg->word_index = i;
        reg->mmap_offset = (uint64_t)(i + 1) << 32;
        free(c->memory);
        *c = (struct fake_capsule) { .used = true, .reg = *reg };
        c->memory = reg->bytes ? calloc(1, reg->bytes) : NULL;
        fake->words[i] = reg->flags & SLICE_REGISTER_HELD ? 1 : 0;
        return 0;
    }
    return -ENOSPC;
}

/* A socket's capsule; one whose socket is gone is given to the next. */
static int do_get_id_by_fd(struct fake *fake, struct slice_register *reg)
{
    bool is_held = reg->flags & SLICE_REGISTER_HELD;
    struct slice_register made = { .flags = reg->flags & SLICE_REGISTER_HELD };
    struct stat st;
    int err;

    if (fstat((int)reg->handle, &st) < 0) {
        return -EBADF;
    }
    for (unsigned i = 0; i < N_CAPSULES; i++) {
        struct fake_capsule *c = &fake->capsules[i];

        if (c->used && !c->left && c->socket == st.st_ino) {
            if (is_held) {
                atomic_fetch_add(&fake->words[i], 1);
            }
            *reg = c->reg;
            return 0;
        }
    }
    err = do_register(fake, &made);
    if (!err) {
        fake->capsules[made.word_index].socket = st.st_ino;
        *reg = made;
    }
    return err;
}

static int do_get_id(struct fake *fake, struct slice_register *reg)
{
    struct fake_capsule *found = NULL;

    if ((reg->flags & ~SLICE_REGISTER_HELD) == SLICE_GET_BY_FD) {
        return do_get_id_by_fd(fake, reg);
    }

    for (unsigned i = 0; i < N_CAPSULES; i++) {
        struct fake_capsule *c = &fake->capsules[i];

        if (!c->used || c->left) {
            continue;
        }
        switch (reg->flags) {
        case SLICE_GET_BY_HANDLE:
            found = c->reg.handle == reg->handle ? c : found;
            break;
        case SLICE_GET_NEXT:
            if (c->reg.id.counter > reg->id.counter &&
                (!found || c->reg.id.counter < found->reg.id.counter)) {
                found = c;
            }
            break;
        case SLICE_GET_BY_ID:
            found = slice_id_equal(&c->reg.id, &reg->id) ? c : found;
            break;
        case SLICE_GET_BY_KEY:
            found = find_key(fake, reg);
            break;
        default:
            return -EINVAL;
        }
    }
    if (!found) {
        return -ENOENT;
    }
    *reg = found->reg;
    return 0;
}

static int do_get_ref(struct fake *fake, struct slice_capsule_op *op)
{
    struct fake_capsule *c = find(fake, &op->id);

    if (!c) {
        return -ENOENT;
    }
    fake->n_ref_calls++;
    while (!c->left && (fake->words[c->reg.word_index] & SLICE_WORD_FROZEN)) {
        if (op->flags & SLICE_REF_NOWAIT) {
            return -EAGAIN;
        }
        pthread_cond_wait(&fake->changed, &fake->lock);
    }
    if (c->left) {
        return -ESTALE;
    }
    atomic_fetch_add(&fake->words[c->reg.word_index], 1);
    return 0;
}

static int do_set_dep(struct fake *fake, const struct slice_dep *dep)
{
    if (!find(fake, &dep->capsule) || !find(fake, &dep->needs)) {
        return -ENOENT;
    }
    for (unsigned i = 0; i < fake->n_deps; i++) {
        struct slice_dep *d = &fake->deps[i];

        if (slice_id_equal(&d->capsule, &dep->capsule) &&
            slice_id_equal(&d->needs, &dep->needs)) {
            if (dep->flags & SLICE_DEP_DROP) {
                *d = fake->deps[--fake->n_deps];
            }
            return 0;
        }
    }
    if (dep->flags & SLICE_DEP_DROP) {
        return -ENOENT;
    }
    if (fake->n_deps == N_DEPS) {
        return -ENOSPC;
    }
    fake->deps[fake->n_deps++] = *dep;
    return 0;
}

/* @id and what needs it, or what it needs: one step is enough for tests. */
static int do_closure(struct fake *fake, struct slice_closure *closure)
{
    struct slice_id *ids = (struct slice_id *)(uintptr_t)closure->ids;
    uint32_t n = 0, room = closure->n_ids;

    if (!find(fake, &closure->id)) {
        return -ENOENT;
    }
    if (n < room) {
        ids[n] = closure->id;
    }
    n++;
    for (unsigned i = 0; i < fake->n_deps; i++) {
        const struct slice_id *other =
            slice_id_equal(&fake->deps[i].needs, &closure->id) ?
                &fake->deps[i].capsule :
            slice_id_equal(&fake->deps[i].capsule, &closure->id) ?
                &fake->deps[i].needs : NULL;

        if (other) {
            if (n < room) {
                ids[n] = *other;
            }
            n++;
        }
    }
    closure->n_ids = n;
    closure->slice = closure->id;
    return n > room ? -ENOSPC : 0;
}

static int do_deregister(struct fake *fake, const struct slice_capsule_op *op)
{
    struct fake_capsule *c = find(fake, &op->id);

    if (!c) {
        return -ENOENT;
    }
    if (c->left) {
        return -ESTALE;
    }
    c->used = false;
    for (unsigned i = fake->n_deps; i-- > 0;) {
        if (slice_id_equal(&fake->deps[i].capsule, &op->id) ||
            slice_id_equal(&fake->deps[i].needs, &op->id)) {
            fake->deps[i] = fake->deps[--fake->n_deps];
        }
    }
    return 0;
}

/* ---- what is said about sessions ---- */

static int do_pin(struct fake *fake, const struct slice_pin *pin)
{
    struct fake_capsule *c = find(fake, &pin->id);

    if (!c) {
        return -ENOENT;
    }
    c->pinned = pin->why;
    return 0;
}

static struct fake_capsule *find_key_of(struct fake *fake, const uint8_t *key,
                                        uint32_t key_bytes)
{
    struct slice_register reg = { .key_bytes = key_bytes };

    memcpy(reg.key, key, sizeof(reg.key));
    return find_key(fake, &reg);
}

static int do_link(struct fake *fake, const struct slice_link_key *link)
{
    struct slice_dep dep = { .needs = link->needs };
    struct fake_capsule *c = find_key_of(fake, link->key, link->key_bytes);

    if (!find(fake, &link->needs) || (!c && link->key_bytes)) {
        return -ENOENT;
    }
    for (unsigned i = fake->n_deps; i-- > 0;) {
        struct slice_dep *d = &fake->deps[i];

        if ((link->flags & SLICE_LINK_ONLY) &&
            slice_id_equal(&d->needs, &link->needs) &&
            !(c && slice_id_equal(&d->capsule, &c->reg.id))) {
            *d = fake->deps[--fake->n_deps];
        }
    }
    if (!c) {
        return 0;
    }
    dep.capsule = c->reg.id;
    return do_set_dep(fake, &dep);
}

static int do_find(struct fake *fake, struct slice_find *request)
{
    struct fake_capsule *asker = find(fake, &request->capsule);
    int err;

    if (!asker) {
        return -ENOENT;
    }
    if (atomic_load(&fake->words[asker->reg.word_index]) &
        SLICE_WORD_COUNT_MASK) {
        return -EINVAL;
    }
    if (find_key_of(fake, request->key, request->key_bytes)) {
        request->result = SLICE_FIND_HERE;
        return 0;
    }
    err = fake->elsewhere ? fake->elsewhere(request->key, request->key_bytes)
                          : 0;
    if (err == -ESTALE) {
        asker->left = true;
        atomic_fetch_or(&fake->words[asker->reg.word_index],
                        SLICE_WORD_FROZEN);
    } else if (!err) {
        request->result = SLICE_FIND_NOWHERE;
    }
    return err;
}

static int dispatch(struct fake *fake, unsigned long request, void *arg)
{
    if (fake->fail_errno && request == fake->fail_request) {
        int err = -fake->fail_errno;

        fake->fail_errno = 0;
        return err;
    }
    switch (request) {
    case SLICE_IOC_INFO:
        ((struct slice_info *)arg)->api_version = SLICE_API_VERSION;
        ((struct slice_info *)arg)->incarnation = INCARNATION;
        return 0;
    case SLICE_IOC_LAYER:
        if (((struct slice_layer *)arg)->flags & SLICE_LAYER_JOIN) {
            return fake->has_layer ? 0 : -ENOENT;
        }
        if (fake->has_layer) {
            return -EBUSY;
        }
        fake->has_layer = true;
        return 0;
    case SLICE_IOC_REGISTER:
        return do_register(fake, arg);
    case SLICE_IOC_GET_ID:
        return do_get_id(fake, arg);
    case SLICE_IOC_GET_REF:
        return do_get_ref(fake, arg);
    case SLICE_IOC_PUT_REF:
        fake->n_ref_calls++;
        pthread_cond_broadcast(&fake->changed);
        return 0;
    case SLICE_IOC_DEREGISTER:
        return do_deregister(fake, arg);
    case SLICE_IOC_SET_DEP:
        return do_set_dep(fake, arg);
    case SLICE_IOC_CLOSURE:
        return do_closure(fake, arg);
    case SLICE_IOC_CREATE_SLICE:
        return find(fake, &((struct slice_capsule_op *)arg)->id) ?
            0 : -ENOENT;
    case SLICE_IOC_PIN:
        return do_pin(fake, arg);
    case SLICE_IOC_LINK:
        return do_link(fake, arg);
    case SLICE_IOC_FIND:
        return do_find(fake, arg);
    case SLICE_IOC_ROOM:
        fake->room = ((struct slice_room_limit *)arg)->n_max;
        return 0;
    case SLICE_IOC_LISTEN:
        return 0;
    case SLICE_IOC_PLUG_DONE:
        fake->answer = *(struct slice_capsule_op *)arg;
        fake->answered = true;
        return 0;
    default:
        return -ENOTTY;
    }
}

static int fake_request(void *state, unsigned long request, void *arg)
{
    struct fake *fake = state;
    int err;

    pthread_mutex_lock(&fake->lock);
    err = dispatch(fake, request, arg);
    pthread_mutex_unlock(&fake->lock);
    return err;
}

static ssize_t fake_read(void *state, void *buffer, size_t bytes)
{
    struct fake *fake = state;
    ssize_t n = -EAGAIN;

    pthread_mutex_lock(&fake->lock);
    if (fake->n_events) {
        memcpy(buffer, &fake->events[0], sizeof(fake->events[0]));
        fake->n_events--;
        memmove(&fake->events[0], &fake->events[1],
                fake->n_events * sizeof(fake->events[0]));
        n = sizeof(fake->events[0]);
    }
    pthread_mutex_unlock(&fake->lock);
    return n;
}

static int fake_map(void *state, uint64_t offset, size_t bytes,
                    void **ret_addr)
{
    struct fake *fake = state;
    unsigned i = (unsigned)(offset >> 32);

    if (offset == SLICE_MMAP_WORDS) {
        *ret_addr = (void *)fake->words;
        return 0;
    }
    if (i < 1 || i > N_CAPSULES || !fake->capsules[i - 1].memory ||
        fake->capsules[i - 1].reg.bytes < bytes) {
        return -ENOENT;
    }
    *ret_addr = fake->capsules[i - 1].memory;
    return 0;
}

static void fake_unmap(void *state, void *addr, size_t bytes)
{
}

static int fake_fd(void *state)
{
    struct fake *fake = state;

    return fake->eventfd;
}

static void fake_close(void *state)
{
}

const struct slice_backend fake_backend = {
    .request = fake_request,
    .read = fake_read,
    .map = fake_map,
    .unmap = fake_unmap,
    .fd = fake_fd,
    .close = fake_close,
};

static slice_word *word_of(struct fake *fake, const struct slice_id *id)
{
    return &fake->words[find(fake, id)->reg.word_index];
}

void fake_freeze(struct fake *fake, const struct slice_id *id)
{
    pthread_mutex_lock(&fake->lock);
    atomic_fetch_or_explicit(word_of(fake, id),
                             SLICE_WORD_FROZEN | SLICE_WORD_NOTIFY,
                             memory_order_acquire);
    pthread_mutex_unlock(&fake->lock);
}

void fake_wait_quiet(struct fake *fake, const struct slice_id *id)
{
    pthread_mutex_lock(&fake->lock);
    while (atomic_load_explicit(word_of(fake, id), memory_order_acquire) &
           SLICE_WORD_COUNT_MASK) {
        pthread_cond_wait(&fake->changed, &fake->lock);
    }
    pthread_mutex_unlock(&fake->lock);
}

void fake_thaw(struct fake *fake, const struct slice_id *id)
{
    pthread_mutex_lock(&fake->lock);
    atomic_fetch_and_explicit(word_of(fake, id),
                              ~(SLICE_WORD_FROZEN | SLICE_WORD_NOTIFY),
                              memory_order_release);
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
}

void fake_leave(struct fake *fake, const struct slice_id *id)
{
    pthread_mutex_lock(&fake->lock);
    find(fake, id)->left = true;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
}

void fake_push_event(struct fake *fake, const struct slice_event *event)
{
    uint64_t one = 1;

    pthread_mutex_lock(&fake->lock);
    fake->events[fake->n_events++] = *event;
    pthread_mutex_unlock(&fake->lock);
    if (write(fake->eventfd, &one, sizeof(one)) != sizeof(one)) {
        abort();
    }
}

unsigned fake_n_ref_calls(struct fake *fake)
{
    unsigned n;

    pthread_mutex_lock(&fake->lock);
    n = fake->n_ref_calls;
    pthread_mutex_unlock(&fake->lock);
    return n;
}

bool fake_last_answer(struct fake *fake, struct slice_capsule_op *ret_op)
{
    bool answered;

    pthread_mutex_lock(&fake->lock);
    answered = fake->answered;
    *ret_op = fake->answer;
    pthread_mutex_unlock(&fake->lock);
    return answered;
}

void fake_fail(struct fake *fake, unsigned long request, int err)
{
    pthread_mutex_lock(&fake->lock);
    fake->fail_request = request;
    fake->fail_errno = err;
    pthread_mutex_unlock(&fake->lock);
}

uint32_t fake_pinned(struct fake *fake, const struct slice_id *id)
{
    struct fake_capsule *c;
    uint32_t why;

    pthread_mutex_lock(&fake->lock);
    c = find(fake, id);
    why = c ? c->pinned : SLICE_WHY_NONE;
    pthread_mutex_unlock(&fake->lock);
    return why;
}

bool fake_needs(struct fake *fake, const struct slice_id *capsule,
                const struct slice_id *needs)
{
    bool found = false;

    pthread_mutex_lock(&fake->lock);
    for (unsigned i = 0; i < fake->n_deps; i++) {
        found |= slice_id_equal(&fake->deps[i].capsule, capsule) &&
                 slice_id_equal(&fake->deps[i].needs, needs);
    }
    pthread_mutex_unlock(&fake->lock);
    return found;
}

uint32_t fake_room(struct fake *fake)
{
    uint32_t room;

    pthread_mutex_lock(&fake->lock);
    room = fake->room;
    pthread_mutex_unlock(&fake->lock);
    return room;
}

void fake_set_elsewhere(struct fake *fake, fake_elsewhere elsewhere)
{
    pthread_mutex_lock(&fake->lock);
    fake->elsewhere = elsewhere;
    pthread_mutex_unlock(&fake->lock);
}
