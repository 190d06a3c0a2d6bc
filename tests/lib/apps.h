/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apps.h - DokuWiki and phpMyAdmin, as a person with a browser uses them
 *
 * Every action insists on what the person would see at its end: the name of the
 * one who is logged in, the text that was saved, the row that was inserted.
 *
 * That a person is still logged in proves little, as both applications keep in
 * cookies what lets them log in again in silence.  So beside each there is a page
 * that counts in the application's own $_SESSION and nowhere else (session.php
 * of the guests' image), and app_round() asks it on all connections at once.
 *
 * Below: webdriver.h.  Above: tests/vm/test-browser.c, tests/demo.
 */
#ifndef SLICE_TESTS_APPS_H
#define SLICE_TESTS_APPS_H

#include "webdriver.h"

/* A browser opens no more to one server. */
#define APP_CONNECTIONS 6

/**
 * struct App - an application
 * @path: where it is, with a slash at both ends
 * @session_cookie: the name of its session's cookie
 */
typedef struct App {
    const char *path;
    const char *session_cookie;
} App;

extern const App app_wiki, app_database;

/** struct AppAnswer - one answer of session.php */
typedef struct AppAnswer {
    uint64_t counter;
    uint16_t port;              /* the client's, of the connection that it came by */
    char vm[16];
} AppAnswer;

/**
 * struct AppRound - answers to APP_CONNECTIONS requests made at once
 * @answers: by counter
 * @n_connections: that they came by; less than there are if the page asked for
 *	something of its own at that moment
 * @mark: the word that only the session knows
 */
typedef struct AppRound {
    AppAnswer answers[APP_CONNECTIONS];
    unsigned int n_connections;
    char mark[40];
} AppRound;

/**
 * app_round: one request on each of the browser's connections
 * @server: e.g. "http://10.77.0.10"
 * @counter: (inout): of the session; 0 if it has not counted yet
 *
 * A page of the same server must be shown; what it has asked for itself is
 * waited for.  Fails if a counter is lost or doubled.
 */
bool app_round(WebDriver *driver, const char *server, const App *app, uint64_t *counter,
               AppRound *ret_round, GError **error);

/** app_forget_all_but_session: delete every cookie but the session's; returns
 *  how many were deleted, or -1. */
int app_forget_all_but_session(WebDriver *driver, const App *app, GError **error);

/** wiki_log_in: as the lab's one user, on the page @page. */
bool wiki_log_in(WebDriver *driver, const char *server, const char *page, GError **error);
/** wiki_open: show a page; fails unless its reader is logged in. */
bool wiki_open(WebDriver *driver, const char *server, const char *page, GError **error);
/** wiki_edit: replace a page's text by @text (without markup) and save it. */
bool wiki_edit(WebDriver *driver, const char *server, const char *page, const char *text,
               GError **error);
/** wiki_check: does the page say @text? */
bool wiki_check(WebDriver *driver, const char *server, const char *page, const char *text,
                GError **error);

/** database_log_in: to phpMyAdmin, as the lab's database user. */
bool database_log_in(WebDriver *driver, const char *server, const char *user,
                     const char *password, GError **error);
/** database_open: show a table's rows; fails unless logged in. */
bool database_open(WebDriver *driver, const char *server, const char *database,
                   const char *table, GError **error);
/** database_insert: one row (number, note), by phpMyAdmin's form. */
bool database_insert(WebDriver *driver, const char *server, const char *database,
                     const char *table, unsigned int number, const char *note, GError **error);

#endif /* SLICE_TESTS_APPS_H */
