// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * apps.c - DokuWiki and phpMyAdmin, as a person with a browser uses them
 */
#include "apps.h"

#include <string.h>

const App app_wiki = { "/dokuwiki/", "DokuWiki" };
const App app_database = { "/phpmyadmin/", "phpMyAdmin" };

/* For so long a request keeps the session to itself, so that the browser needs
 * all its connections for a round. */
#define ROUND_HOLD_MS 20

static bool fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error) {
        *error = g_error_new_valist(WEBDRIVER_ERROR, WEBDRIVER_ERROR_FAILED, format, args);
    }
    va_end(args);
    return false;
}

/* ---- rounds ---- */

/* Both applications' pages go on asking by jQuery when they are loaded. */
static const char round_script[] =
    "const [url, n, hold] = arguments;"
    "const one = async i => {"
    "  const answer = await fetch(`${url}?ms=${hold}&i=${i}`, {cache: 'no-store'});"
    "  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);"
    "  return answer.json();"
    "};"
    "const all = async () => {"
    "  if (window.jQuery && jQuery.active)"
    "    await new Promise(done => jQuery(document).one('ajaxStop', done));"
    "  return Promise.all(Array.from({length: n}, (_, i) => one(i)));"
    "};"
    "return all();";

static int by_counter(gconstpointer a, gconstpointer b)
{
    const AppAnswer *one = a, *other = b;

    return one->counter < other->counter ? -1 : one->counter > other->counter;
}

static bool take_answers(JsonNode *value, AppRound *ret_round, GError **error)
{
    JsonArray *array = JSON_NODE_HOLDS_ARRAY(value) ? json_node_get_array(value) : NULL;

    if (!array || json_array_get_length(array) != APP_CONNECTIONS) {
        return fail(error, "a round of requests: not %d answers", APP_CONNECTIONS);
    }
    for (int i = 0; i < APP_CONNECTIONS; i++) {
        JsonObject *object = json_array_get_object_element(array, i);
        AppAnswer *answer = &ret_round->answers[i];

        answer->counter = json_object_get_int_member_with_default(object, "counter", 0);
        answer->port = json_object_get_int_member_with_default(object, "port", 0);
        g_strlcpy(answer->vm, json_object_get_string_member_with_default(object, "vm", ""),
                  sizeof(answer->vm));
        g_strlcpy(ret_round->mark, json_object_get_string_member_with_default(object, "mark", ""),
                  sizeof(ret_round->mark));
    }
    qsort(ret_round->answers, APP_CONNECTIONS, sizeof(AppAnswer), by_counter);
    return true;
}

/* Did one of the first @n answers come by this connection? */
static bool has_port(const AppRound *round, int n, uint16_t port)
{
    for (int i = 0; i < n; i++) {
        if (round->answers[i].port == port) {
            return true;
        }
    }
    return false;
}

bool app_round(WebDriver *driver, const char *server, const App *app, uint64_t *counter,
               AppRound *ret_round, GError **error)
{
    g_autofree char *arguments = g_strdup_printf("[\"%s%ssession.php\", %d, %d]", server,
                                                 app->path, APP_CONNECTIONS, ROUND_HOLD_MS);
    g_autoptr(JsonNode) value = webdriver_execute(driver, round_script, arguments, error);

    memset(ret_round, 0, sizeof(*ret_round));
    if (!value || !take_answers(value, ret_round, error)) {
        return false;
    }
    for (int i = 0; i < APP_CONNECTIONS; i++) {
        const AppAnswer *answer = &ret_round->answers[i];

        if (answer->counter != *counter + i + 1) {
            return fail(error, "the session's counter is %" G_GUINT64_FORMAT " after %"
                        G_GUINT64_FORMAT, answer->counter, *counter + i);
        }
        ret_round->n_connections += !has_port(ret_round, i, answer->port);
    }
    *counter += APP_CONNECTIONS;
    return true;
}

int app_forget_all_but_session(WebDriver *driver, const App *app, GError **error)
{
    g_auto(GStrv) names = webdriver_cookies(driver, error);
    int n = 0;

    if (!names) {
        return -1;
    }
    for (guint i = 0; names[i]; i++) {
        if (strcmp(names[i], app->session_cookie)) {
            if (!webdriver_delete_cookie(driver, names[i], error)) {
                return -1;
            }
            n++;
        }
    }
    return n;
}

/* ---- DokuWiki ---- */

#define WIKI_USER "demo"
#define WIKI_PASSWORD "demo"
#define WIKI_USER_TOOLS "#dokuwiki__usertools li.user"
/* Not there in the editor, so whoever has saved waits for the page that follows. */
#define WIKI_TEXT ".mode_show #dokuwiki__content .page"

static bool wiki_navigate(WebDriver *driver, const char *server, const char *page,
                          const char *action, GError **error)
{
    g_autofree char *url = g_strdup_printf("%s%sdoku.php?id=%s&do=%s", server, app_wiki.path, page,
                                           action);

    return webdriver_navigate(driver, url, error);
}

/* A text on the page, which the driver waits for as long as it waits for elements. */
static bool says(WebDriver *driver, const char *css, const char *text, GError **error)
{
    g_autofree char *seen = webdriver_text(driver, css, error);

    if (seen && !strstr(seen, text)) {
        fail(error, "%s says '%.80s', not '%s'", css, seen, text);
    }
    return seen && strstr(seen, text);
}

bool wiki_log_in(WebDriver *driver, const char *server, const char *page, GError **error)
{
    return wiki_navigate(driver, server, page, "login", error) &&
           webdriver_type(driver, "#dw__login input[name=u]", WIKI_USER, error) &&
           webdriver_type(driver, "#dw__login input[name=p]", WIKI_PASSWORD, error) &&
           webdriver_click(driver, "#dw__login button[type=submit]", error) &&
           says(driver, WIKI_USER_TOOLS, WIKI_USER, error);
}

bool wiki_open(WebDriver *driver, const char *server, const char *page, GError **error)
{
    return wiki_navigate(driver, server, page, "show", error) &&
           says(driver, WIKI_USER_TOOLS, WIKI_USER, error);
}

bool wiki_check(WebDriver *driver, const char *server, const char *page, const char *text,
                GError **error)
{
    return wiki_open(driver, server, page, error) &&
           says(driver, WIKI_TEXT, text, error);
}

/*
 * Whoever leaves the editor asks for the draft's deletion, on a page that is about
 * to go: the browser cancels the request, and a connection ends with it.  Saving
 * deletes the draft, too, so the page is told to leave that alone, as it is by
 * its own preview.
 */
static bool keep_draft(WebDriver *driver, GError **error)
{
    g_autoptr(JsonNode) value = webdriver_execute(driver, "window.keepDraft = true", NULL, error);

    return value != NULL;
}

bool wiki_edit(WebDriver *driver, const char *server, const char *page, const char *text,
               GError **error)
{
    return wiki_navigate(driver, server, page, "edit", error) &&
           webdriver_clear(driver, "#wiki__text", error) &&
           webdriver_type(driver, "#wiki__text", text, error) && keep_draft(driver, error) &&
           webdriver_click(driver, "#edbtn__save", error) &&
           says(driver, WIKI_TEXT, text, error);
}

/* ---- phpMyAdmin ---- */

static bool database_navigate(WebDriver *driver, const char *server, const char *route,
                              const char *database, const char *table, GError **error)
{
    g_autofree char *url = g_strdup_printf("%s%sindex.php?route=%s&db=%s&table=%s", server,
                                           app_database.path, route, database, table);

    return webdriver_navigate(driver, url, error);
}

/* Only who is logged in is offered to log out. */
static bool is_logged_in(WebDriver *driver, GError **error)
{
    g_autofree char *text = webdriver_text(driver, "a.logout", error);

    return text != NULL;
}

bool database_log_in(WebDriver *driver, const char *server, const char *user,
                     const char *password, GError **error)
{
    g_autofree char *url = g_strdup_printf("%s%sindex.php", server, app_database.path);

    return webdriver_navigate(driver, url, error) &&
           webdriver_type(driver, "#input_username", user, error) &&
           webdriver_type(driver, "#input_password", password, error) &&
           webdriver_click(driver, "#input_go", error) &&
           is_logged_in(driver, error);
}

bool database_open(WebDriver *driver, const char *server, const char *database,
                   const char *table, GError **error)
{
    return database_navigate(driver, server, "/sql", database, table, error) &&
           is_logged_in(driver, error);
}

bool database_insert(WebDriver *driver, const char *server, const char *database,
                     const char *table, unsigned int number, const char *note, GError **error)
{
    g_autofree char *digits = g_strdup_printf("%u", number);

    return database_navigate(driver, server, "/table/change", database, table, error) &&
           webdriver_type(driver, "#field_1_3", digits, error) &&
           webdriver_type(driver, "#field_2_3", note, error) &&
           webdriver_type(driver, "#buttonYes", WEBDRIVER_ENTER, error) &&
           says(driver, "#page_content .alert-success", "1 row inserted", error);
}
