/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * why.h - an engine's one-word reasons, in sentences for people
 *
 * Source: enum slice_why of the ioctl header; docs/specs/qmp.md.
 */
#ifndef SLICE_DAEMON_WHY_H
#define SLICE_DAEMON_WHY_H

/**
 * slice_why_text() - what a reason means
 * @word: (nullable): 'references', 'tls' ...
 *
 * Return: a sentence without a full stop; @word itself where it is not known,
 * 'no reason given' for NULL and "".
 */
const char *slice_why_text(const char *word);

#endif
