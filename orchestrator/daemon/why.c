/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * why.c - an engine's one-word reasons, in sentences for people
 */
#include "why.h"

#include <glib.h>

static const struct {
    const char *word, *text;
} table[] = {
    { "references", "a request is being served; a long poll or a download holds it "
                    "as long as it lasts" },
    { "deadline", "it did not become quiet in time: a request, a long poll or a "
                  "download goes on" },
    { "moving", "it is moving already" },
    { "upgraded", "its connection switched protocols (WebSocket): it never idles" },
    { "tls", "its connection is encrypted in the guest (TLS)" },
    { "http2", "its connection speaks HTTP/2" },
    { "too-large", "it has more capsules or memory than a slice may have" },
    { "option", "its connection uses an option that cannot be restored" },
    { "urgent", "its connection holds urgent data" },
    { "state", "its connection is not in a state that can move" },
    { "no-layer", "a layer that it needs is not there" },
    { "layer-version", "a layer that it needs has another version there" },
    { "no-room", "a layer there takes no more" },
    { "memory", "there is no memory for it" },
    { "tuple-in-use", "one of its connections exists there already" },
    { "layer-refused", "a layer refused it" },
    { "image", "its image was not understood" },
    { "peer", "the two hypervisors do not reach each other" },
    { "gone", "it has ended" },
    { "term", "another move of it came in between" },
    { "aborted", "the move was given up" },
};

const char *slice_why_text(const char *word)
{
    if (!word || !word[0]) {
        return "no reason given";
    }
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        if (g_str_equal(word, table[i].word)) {
            return table[i].text;
        }
    }
    return word;
}
