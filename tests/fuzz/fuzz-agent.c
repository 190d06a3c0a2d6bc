// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz-agent.c - slice-agent's reader: lines from the host, lists from the kernel
 *
 * An input is a byte of choices, how many slices the kernel lists, one entry of
 * that list, and the line.  Choices: 1 the machine has slices, 2 the kernel
 * refuses to list them, 4 the list grows while it is read, 8 the line is the
 * "id" of a good request, which a fuzzer would hardly guess.  Whatever comes, the
 * answer must be one line of valid UTF-8 that is JSON, an object with either
 * "return" or "error".
 *
 * Below: guest-agent/agent/request.c with a stand-in for /dev/slice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-glib/json-glib.h>

#include "request.h"
#include "slice-backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define HAS_SLICES 1
#define REFUSES 2
#define GROWS 4
#define GOOD_REQUEST 8

typedef struct Machine {
    uint8_t choices;
    uint32_t n;
    struct slice_list_entry entry;
} Machine;

static int answer_list(Machine *machine, struct slice_list *list)
{
    struct slice_list_entry *entries = (void *)(uintptr_t)list->entries;
    uint32_t room = list->n_entries;

    if (machine->choices & REFUSES) {
        return -EPERM;
    }
    list->n_entries = machine->n;
    if (machine->n > room) {
        machine->n += machine->choices & GROWS ? 100 : 0;
        return -ENOSPC;
    }
    for (uint32_t i = 0; i < machine->n; i++) {
        entries[i] = machine->entry;
    }
    return 0;
}

static int request(void *state, unsigned long number, void *arg)
{
    struct slice_info *info = arg;

    switch (number) {
    case SLICE_IOC_INFO:
        info->api_version = SLICE_API_VERSION;
        info->word_count = SLICE_WORDS_BYTES / sizeof(uint32_t);
        return 0;
    case SLICE_IOC_LIST:
        return answer_list(state, arg);
    default:
        return -ENOTTY;
    }
}

static ssize_t no_read(void *state, void *buffer, size_t bytes)
{
    return -EAGAIN;
}

static int map(void *state, uint64_t offset, size_t bytes, void **ret_addr)
{
    *ret_addr = calloc(1, bytes);
    return *ret_addr ? 0 : -ENOMEM;
}

static void unmap(void *state, void *addr, size_t bytes)
{
    free(addr);
}

static int no_fd(void *state)
{
    return -1;
}

static void no_close(void *state)
{
}

static const struct slice_backend backend = {
    .request = request, .read = no_read, .map = map, .unmap = unmap, .fd = no_fd,
    .close = no_close,
};

static void check(const char *reply)
{
    g_autoptr(JsonNode) node = NULL;
    JsonObject *object;
    size_t bytes = strlen(reply);

    g_assert_true(bytes && strchr(reply, '\n') == reply + bytes - 1);
    g_assert_true(g_utf8_validate(reply, -1, NULL));
    node = json_from_string(reply, NULL);
    g_assert_true(node && JSON_NODE_HOLDS_OBJECT(node));
    object = json_node_get_object(node);
    g_assert_true(json_object_has_member(object, "return") !=
                  json_object_has_member(object, "error"));
}

/* In memory of just its size, so that the sanitizer sees who reads past it. */
static char *make_line(uint8_t choices, const uint8_t *data, size_t *bytes)
{
    const char *begin = choices & GOOD_REQUEST ? "{\"execute\":\"list\",\"id\":" : "";
    const char *end = choices & GOOD_REQUEST ? "}" : "";
    size_t before = strlen(begin), after = strlen(end);
    char *line = g_malloc(MAX(before + *bytes + after, 1));

    memcpy(line, begin, before);
    memcpy(line + before, data, *bytes);
    memcpy(line + before + *bytes, end, after);
    *bytes += before + after;
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct slice_opener *opener = NULL;
    Machine machine = { 0 };
    g_autofree char *reply = NULL, *line = NULL;

    if (bytes < 2 + sizeof(machine.entry)) {
        return 0;
    }
    machine.choices = data[0];
    machine.n = data[1];
    memcpy(&machine.entry, data + 2, sizeof(machine.entry));
    data += 2 + sizeof(machine.entry);
    bytes -= 2 + sizeof(machine.entry);
    if (machine.choices & HAS_SLICES) {
        g_assert_cmpint(slice_open_backend(&backend, &machine, &opener), ==, 0);
    }
    line = make_line(machine.choices, data, &bytes);
    reply = slice_request_answer(opener, line, bytes);
    check(reply);
    slice_close(opener);
    return 0;
}
