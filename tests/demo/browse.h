/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * browse.h - the demo's second part: a browser's session moves
 *
 *      Chromium at cl2 ─── br0 ─┬─ web1 ─┐
 *      (six connections)        └─ web2 ─┴─ br1 ─── shared folder
 *
 * Somebody logs in to DokuWiki, reads and edits a page, while the session moves
 * with all the browser's connections.  In the end every cookie but the session's
 * is deleted, and the session's counter has to go on.
 *
 * The part's directory, `browser` below the demo's, holds
 *
 *   clicks.tsv      what the person did and saw
 *   moves.tsv       each move as it was ordered
 *   client.pcap     the packets at the client's interface
 *   NAME-svc.pcap   the packets at each VM's service port
 *   before.png, after.png    the browser's window
 *
 * Times are of the realtime clock in nanoseconds, as in the captures; lines are
 * words between tabs, the first says what the others are:
 *
 *   port     PORT                    of one of the connections of the warm-up
 *   warm     TIME                    from here on nothing else may be opened
 *   answer   COUNTER PORT VM         a counted request was answered
 *   click    WHAT BEGIN END          "round", "show", "edit": it did what it must
 *   alone    TIME COOKIES            so many cookies were deleted
 *   error    TEXT                    the part ended with it
 *   end      TIME
 *
 *   wanted   MOVES                   so many had to be made
 *   move     SLICE CONNECTIONS SOURCE TARGET BEGIN END RESULT BYTES
 */
#ifndef SLICE_DEMO_BROWSE_H
#define SLICE_DEMO_BROWSE_H

#include "lab.h"

/**
 * struct DemoStage - what the part needs
 * @vms: two, running and ready
 * @dir: of the demo's records
 * @n_moves: at least so many
 * @say: progress, for people
 */
typedef struct DemoStage {
    Lab *lab;
    LabVm *const *vms;
    const char *dir;
    unsigned int n_moves;
    void (*say)(const char *text, gpointer opaque);
    gpointer opaque;
} DemoStage;

/** demo_browse: play it; what went wrong is recorded, too. */
bool demo_browse(const DemoStage *stage, GError **error);

/** demo_has_browsed: are there records of this part in a demo's directory? */
bool demo_has_browsed(const char *dir);

/**
 * demo_verify_browser: compute its verdict from a demo's directory, and print it
 *
 * Returns whether everything held; the table also goes to browser/verdict.txt.
 */
bool demo_verify_browser(const char *dir, GError **error);

#endif /* SLICE_DEMO_BROWSE_H */
