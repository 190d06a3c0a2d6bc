/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * request.h - what slice-agent answers
 *
 * DOC: one JSON object a line, both ways
 *
 *	-> {"execute": "list", "id": 7}
 *	<- {"id": 7, "return": [ ... ]}
 *	<- {"id": 7, "error": {"code": "INVALID", "message": "..."}}
 *
 * "id" is any string or 64-bit integer and comes back as it was, if it was given.
 *
 *	info	api-version, incarnation, capsules, slices, and limits
 *	list	an object for each slice: id, label, top, state, movability, why,
 *		capsules, connections, references, memory-bytes
 *
 * 64-bit numbers and ids are strings.  The prose is docs/specs/agent.md.
 */
#ifndef SLICE_AGENT_REQUEST_H
#define SLICE_AGENT_REQUEST_H

#include <glib.h>

#include "libslice.h"

#define SLICE_REQUEST_BYTES_MAX 65536

/**
 * slice_request_answer() - the answer to a line
 * @opener: of the machine, or NULL: it has no slices
 * @line: without its end; untrusted
 * @bytes: of @line
 *
 * Return: one line with its end, to be freed with g_free(); never NULL.
 */
char *slice_request_answer(struct slice_opener *opener, const char *line,
                           gsize bytes);

#endif /* SLICE_AGENT_REQUEST_H */
