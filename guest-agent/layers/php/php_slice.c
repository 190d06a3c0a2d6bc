// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * php_slice.c - session save handler "slice"
 *
 *	session.save_handler = slice
 *
 * MINIT	provide layer "php", in the process that will fork the workers
 * open		join it, once a worker
 * read		attach the session, link it to the connection that asks
 * write	into the other bank, then flip
 * close	detach
 *
 * A session that has left this machine is never answered with an empty one: the
 * request fails with status 503 and may be tried again.  On a machine without slices the save handler
 * "files" does the work, and one line in the log says so.
 *
 * Below: store.c, bank.c.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "php.h"
#include "SAPI.h"
#include "php_ini.h"
#include "ext/session/php_session.h"
#include "ext/standard/info.h"
#include "zend_exceptions.h"

#include "bank.h"
#include "store.h"

#define PHP_SLICE_VERSION "0.1"
#define CAPSULE_PARAM "SLICE_CAPSULE_ID"
#define COOKIE_PARAM "HTTP_COOKIE"
#define RETRY_AFTER "Retry-After: 1"

ZEND_BEGIN_MODULE_GLOBALS(slice)
    char *device;
    zend_long session_room;
    char *tag;
    bool enable_cli;
ZEND_END_MODULE_GLOBALS(slice)

ZEND_DECLARE_MODULE_GLOBALS(slice)

PHP_INI_BEGIN()
    STD_PHP_INI_ENTRY("slice.device", SLICE_DEVICE, PHP_INI_SYSTEM,
                      OnUpdateString, device, zend_slice_globals,
                      slice_globals)
    STD_PHP_INI_ENTRY("slice.session_room", "65536", PHP_INI_SYSTEM,
                      OnUpdateLong, session_room, zend_slice_globals,
                      slice_globals)
    STD_PHP_INI_ENTRY("slice.tag", "-", PHP_INI_SYSTEM,
                      OnUpdateString, tag, zend_slice_globals, slice_globals)
    STD_PHP_INI_BOOLEAN("slice.enable_cli", "0", PHP_INI_SYSTEM,
                        OnUpdateBool, enable_cli, zend_slice_globals,
                        slice_globals)
PHP_INI_END()

/* Of this process; provided in MINIT, before the workers are forked. */
static struct slice_store store;
static struct slice_attached attached;
static bool active;
/* What keeps sessions on a machine without slices. */
static const ps_module *fallback;

static size_t room_for_new(void)
{
    zend_long room = slice_globals.session_room;

    if (room < SLICE_BANK_ROOM_MIN) {
        room = SLICE_BANK_ROOM_MIN;
    }
    return room > (zend_long)SLICE_CAPSULE_BYTES_MAX ?
        SLICE_CAPSULE_BYTES_MAX : (size_t)room;
}

/* Of several sessions of one application people want to tell which is which,
 * without being shown what would let them take it over. */
static void make_label(const zend_string *key, char *label, size_t bytes)
{
    snprintf(label, bytes, "%.20s/%08x", PS(session_name),
             slice_crc32c(0, ZSTR_VAL(key), ZSTR_LEN(key)));
}

static void fail_for_now(void)
{
    sapi_header_line header = {
        .line = RETRY_AFTER,
        .line_len = strlen(RETRY_AFTER),
    };

    if (!SG(headers_sent)) {
        SG(sapi_headers).http_response_code = 503;
        sapi_header_op(SAPI_HEADER_REPLACE, &header);
    }
    zend_throw_error(NULL, "the session has left this server");
}

static void fail(const char *what, int err)
{
    if (err == -ESTALE) {
        fail_for_now();
        return;
    }
    php_error_docref(NULL, E_WARNING, "%s: %s", what, strerror(-err));
}

/* The connection that this request came by; false: it cannot move. */
static bool get_connection(struct slice_id *ret_id)
{
    const char *text = sapi_getenv(CAPSULE_PARAM, strlen(CAPSULE_PARAM));

    return text && !slice_id_parse(text, ret_id);
}

static int link_to(const struct slice_id *connection)
{
    return slice_store_link(&store, &attached, connection,
                            sapi_getenv(COOKIE_PARAM, strlen(COOKIE_PARAM)));
}

static int attach(const zend_string *key)
{
    char label[SLICE_LABEL_BYTES];
    struct slice_id connection;
    int err;

    slice_store_detach(&store, &attached);
    make_label(key, label, sizeof(label));
    err = slice_store_attach(&store, ZSTR_VAL(key), ZSTR_LEN(key),
                             room_for_new(), label, (uint64_t)time(NULL),
                             &attached);
    if (err || !get_connection(&connection)) {
        return err;
    }
    err = link_to(&connection);
    if (err == -EBUSY || err == -ENOENT || err == -ESTALE) {
        /* The connection is on its way, or gone: its next request links. */
        err = 0;
    }
    if (err) {
        php_error_docref(NULL, E_NOTICE, "the session and its connection "
                         "cannot move together: %s", strerror(-err));
    }
    return 0;
}

static bool is_attached(const zend_string *key)
{
    return attached.is && attached.key_bytes == ZSTR_LEN(key) &&
           !memcmp(attached.key, ZSTR_VAL(key), ZSTR_LEN(key));
}

static zend_result ensure_attached(const zend_string *key)
{
    int err = is_attached(key) ? 0 : attach(key);

    if (err) {
        fail("the session cannot be opened", err);
        return FAILURE;
    }
    return SUCCESS;
}

static uint64_t unused_before(zend_long now_s, zend_long maxlifetime)
{
    return maxlifetime < now_s ? (uint64_t)(now_s - maxlifetime) : 0;
}

static void sweep(void)
{
    zend_long now_s = (zend_long)time(NULL);

    slice_store_sweep(&store, &attached,
                      unused_before(now_s, PS(gc_maxlifetime)),
                      (uint64_t)now_s);
}

static PS_OPEN_FUNC(slice)
{
    int err;

    if (!active) {
        return fallback ? fallback->s_open(mod_data, save_path, session_name)
                        : FAILURE;
    }
    err = slice_store_join(&store);
    if (err) {
        fail("this process cannot use sessions", err);
        return FAILURE;
    }
    sweep();
    /* PHP takes NULL for "not open". */
    PS_SET_MOD_DATA(&store);
    return SUCCESS;
}

static PS_CLOSE_FUNC(slice)
{
    if (!active) {
        return fallback->s_close(mod_data);
    }
    slice_store_detach(&store, &attached);
    PS_SET_MOD_DATA(NULL);
    return SUCCESS;
}

static PS_READ_FUNC(slice)
{
    size_t bytes = 0;
    int err;

    if (!active) {
        return fallback->s_read(mod_data, key, val, maxlifetime);
    }
    if (ensure_attached(key) == FAILURE) {
        return FAILURE;
    }
    err = slice_bank_measure(attached.memory, attached.capsule.room_bytes,
                             &bytes);
    if (!err && bytes == 0) {
        *val = ZSTR_EMPTY_ALLOC();
        return SUCCESS;
    }
    if (!err) {
        *val = zend_string_alloc(bytes, 0);
        err = slice_bank_read(attached.memory, attached.capsule.room_bytes,
                              ZSTR_VAL(*val), bytes);
        ZSTR_VAL(*val)[bytes] = '\0';
        if (err) {
            zend_string_release(*val);
            *val = NULL;
        }
    }
    if (err) {
        fail("the session is damaged", err);
        return FAILURE;
    }
    return SUCCESS;
}

static int grow_and_write(const zend_string *val, uint64_t now_s)
{
    size_t room = slice_bank_room(ZSTR_LEN(val) + ZSTR_LEN(val) / 2);
    int err;

    if (room > SLICE_CAPSULE_BYTES_MAX) {
        room = SLICE_CAPSULE_BYTES_MAX;
    }
    err = slice_store_grow(&store, &attached, room, now_s);
    if (err) {
        return err;
    }
    return slice_bank_write(attached.memory, attached.capsule.room_bytes,
                            ZSTR_VAL(val), ZSTR_LEN(val), now_s);
}

static PS_WRITE_FUNC(slice)
{
    uint64_t now_s = (uint64_t)time(NULL);
    int err;

    if (!active) {
        return fallback->s_write(mod_data, key, val, maxlifetime);
    }
    if (ensure_attached(key) == FAILURE) {
        return FAILURE;
    }
    err = slice_bank_write(attached.memory, attached.capsule.room_bytes,
                           ZSTR_VAL(val), ZSTR_LEN(val), now_s);
    if (err == -ENOSPC) {
        err = grow_and_write(val, now_s);
    }
    if (err) {
        fail("the session cannot be written", err);
        return FAILURE;
    }
    return SUCCESS;
}

static PS_DESTROY_FUNC(slice)
{
    if (!active) {
        return fallback->s_destroy(mod_data, key);
    }
    if (!is_attached(key) &&
        slice_store_exists(&store, ZSTR_VAL(key), ZSTR_LEN(key)) == -ENOENT) {
        return SUCCESS;
    }
    if (ensure_attached(key) == FAILURE) {
        return FAILURE;
    }
    slice_store_end(&store, &attached);
    return SUCCESS;
}

static PS_GC_FUNC(slice)
{
    if (!active) {
        return fallback->s_gc(mod_data, maxlifetime, nrdels);
    }
    *nrdels = (zend_long)slice_store_collect(
        &store, &attached, unused_before((zend_long)time(NULL), maxlifetime));
    return *nrdels;
}

static PS_CREATE_SID_FUNC(slice)
{
    if (!active) {
        return fallback->s_create_sid(mod_data);
    }
    for (int i = 0; i < 3; i++) {
        zend_string *sid = php_session_create_id(mod_data);

        if (!sid || ZSTR_LEN(sid) > SLICE_KEY_BYTES_MAX) {
            php_error_docref(NULL, E_WARNING, "session.sid_length is above %d",
                             SLICE_KEY_BYTES_MAX);
            return sid;
        }
        if (slice_store_exists(&store, ZSTR_VAL(sid), ZSTR_LEN(sid)) ==
            -ENOENT) {
            return sid;
        }
        zend_string_release(sid);
    }
    return NULL;
}

/*
 * Only of one that surely is nowhere may a new one be made: mod_slice has asked
 * for it before it let the request begin.  What has left, or cannot be looked
 * at, exists: its read tells why it cannot be had.
 */
static PS_VALIDATE_SID_FUNC(slice)
{
    if (!active) {
        return fallback->s_validate_sid(mod_data, key);
    }
    if (ZSTR_LEN(key) == 0 || ZSTR_LEN(key) > SLICE_KEY_BYTES_MAX) {
        return FAILURE;
    }
    return slice_store_exists(&store, ZSTR_VAL(key), ZSTR_LEN(key)) == -ENOENT ?
        FAILURE : SUCCESS;
}

static PS_UPDATE_TIMESTAMP_FUNC(slice)
{
    if (!active) {
        return fallback->s_update_timestamp(mod_data, key, val, maxlifetime);
    }
    if (!is_attached(key)) {
        return FAILURE;
    }
    slice_bank_touch(attached.memory, (uint64_t)time(NULL));
    return SUCCESS;
}

static const ps_module ps_mod_slice = {
    PS_MOD_UPDATE_TIMESTAMP(slice)
};

/* ---- functions for scripts ---- */

/* Bytes of the character of UTF-8 at @text, 0: there is none. */
static size_t character_bytes(const unsigned char *text, size_t bytes)
{
    size_t n = text[0] < 0x80 ? 1 : text[0] >= 0xf0 ? 4 :
               text[0] >= 0xe0 ? 3 : 2;

    if (text[0] < 0x20 || text[0] == 0x7f || n > bytes ||
        (text[0] >= 0x80 && text[0] < 0xc2) || text[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

/* As much of @text as fits; false: it is not for people to read. */
static bool fit_label(const zend_string *text,
                      char ret_label[SLICE_LABEL_BYTES])
{
    const unsigned char *data = (const unsigned char *)ZSTR_VAL(text);
    size_t bytes = 0, fits = 0;

    while (bytes < ZSTR_LEN(text)) {
        size_t n = character_bytes(data + bytes, ZSTR_LEN(text) - bytes);

        if (!n) {
            return false;
        }
        bytes += n;
        if (bytes < SLICE_LABEL_BYTES) {
            fits = bytes;
        }
    }
    memset(ret_label, 0, SLICE_LABEL_BYTES);
    memcpy(ret_label, data, fits);
    return true;
}

/* slice_label(string $label): bool - what operators see of this session. */
static PHP_FUNCTION(slice_label)
{
    char label[SLICE_LABEL_BYTES];
    zend_string *text;

    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_STR(text)
    ZEND_PARSE_PARAMETERS_END();
    if (!fit_label(text, label)) {
        zend_argument_value_error(1, "must be UTF-8 without control characters");
        RETURN_THROWS();
    }
    RETURN_BOOL(active && attached.is &&
                !slice_store_label(&store, &attached, label));
}

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_slice_label, 0, 1, _IS_BOOL, 0)
    ZEND_ARG_TYPE_INFO(0, label, IS_STRING, 0)
ZEND_END_ARG_INFO()

static const zend_function_entry slice_functions[] = {
    PHP_FE(slice_label, arginfo_slice_label)
    PHP_FE_END
};

/* ---- the module ---- */

/* Sessions can move only between equal PHPs: what is serialized depends on it. */
static uint64_t abi_hash(void)
{
    const char *tag = slice_globals.tag;
    uint64_t hash = slice_hash(SLICE_HASH_SEED, PHP_VERSION,
                               sizeof(PHP_VERSION));

    return slice_hash(hash, tag, strlen(tag));
}

/* Command line programs come and go; their sessions would do so, too. */
static bool is_server(void)
{
    return strcmp(sapi_module.name, "cli") ||
           slice_globals.enable_cli;
}

static void stand_aside(int err)
{
    char *line;
    const char *handler = zend_ini_string("session.save_handler",
                                          strlen("session.save_handler"), 0);

    if (!handler || strcmp(handler, "slice") || !is_server()) {
        return;
    }
    spprintf(&line, 0, "slice: standing aside, sessions are kept in files: "
             "cannot use %s: %s", slice_globals.device,
             strerror(-err));
    php_log_err(line);
    efree(line);
}

static PHP_MINIT_FUNCTION(slice)
{
    int err = -ENODEV;

    REGISTER_INI_ENTRIES();
    if (is_server()) {
        err = slice_store_provide(&store,
                                  slice_globals.device,
                                  abi_hash());
    }
    active = !err;
    fallback = _php_find_ps_module("files");
    if (err) {
        stand_aside(err);
    }
    return php_session_register_module(&ps_mod_slice) ? FAILURE : SUCCESS;
}

static PHP_MSHUTDOWN_FUNCTION(slice)
{
    if (active) {
        slice_store_finish(&store);
    }
    UNREGISTER_INI_ENTRIES();
    return SUCCESS;
}

/*
 * After a fatal error PHP may not have closed the session.  Only after all
 * modules' RSHUTDOWN: ours comes before that of the session module, which writes
 * what a script has left open; detached before, the session could leave without
 * it.
 */
static ZEND_MODULE_POST_ZEND_DEACTIVATE_D(slice)
{
    if (active && store.opener) {
        slice_store_detach(&store, &attached);
    }
    return SUCCESS;
}

static PHP_MINFO_FUNCTION(slice)
{
    php_info_print_table_start();
    php_info_print_table_row(2, "sessions that can move",
                             active ? "yes" : "no: standing aside");
    php_info_print_table_row(2, "version", PHP_SLICE_VERSION);
    php_info_print_table_end();
    DISPLAY_INI_ENTRIES();
}

static const zend_module_dep slice_deps[] = {
    ZEND_MOD_REQUIRED("session")
    ZEND_MOD_END
};

zend_module_entry slice_module_entry = {
    STANDARD_MODULE_HEADER_EX,
    NULL,
    slice_deps,
    "slice",
    slice_functions,
    PHP_MINIT(slice),
    PHP_MSHUTDOWN(slice),
    NULL,
    NULL,
    PHP_MINFO(slice),
    PHP_SLICE_VERSION,
    PHP_MODULE_GLOBALS(slice),
    NULL,
    NULL,
    ZEND_MODULE_POST_ZEND_DEACTIVATE_N(slice),
    STANDARD_MODULE_PROPERTIES_EX
};

ZEND_GET_MODULE(slice)
