// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mariadb.c - a database outside the cluster
 *
 * The VMs reach it by their own network, as they would any other service.  It
 * starts empty but for LAB_DATABASE, its one user, and the table `visits`.
 */
#include <signal.h>
#include <sys/stat.h>

#include "internal.h"

#define DATABASE_DIR "/run/slice-mariadb"
#define DATABASE_PORT 3306

/* What mariadb-install-db would do, without its tables of help texts. */
static const char make_tables[] =
    "set -e\n"
    "sql=/usr/share/mysql\n"
    "{ printf '%s\\n' 'CREATE DATABASE mysql;' 'USE mysql;'\n"
    "  cat $sql/mysql_system_tables.sql $sql/mysql_performance_tables.sql "
    "$sql/mysql_system_tables_data.sql\n"
    "  printf '%s\\n' 'FLUSH PRIVILEGES;' 'CREATE DATABASE " LAB_DATABASE ";' "
    "\"CREATE USER '" LAB_DATABASE_USER "'@'%' IDENTIFIED BY '" LAB_DATABASE_PASSWORD "';\" "
    "\"GRANT ALL ON " LAB_DATABASE ".* TO '" LAB_DATABASE_USER "'@'%';\" "
    "'CREATE TABLE " LAB_DATABASE ".visits (number INT PRIMARY KEY, note VARCHAR(80));'\n"
    "} | \"$@\" --bootstrap\n";

bool lab_mariadb_start(Lab *lab, GError **error)
{
    const char *chown[] = { "chown", "nobody:", DATABASE_DIR, NULL };
    const char *make[] = { "sh", "-c", make_tables, "sh",
                           "mariadbd", "--no-defaults", "--user=nobody",
                           "--datadir=" DATABASE_DIR "/data", "--innodb-log-file-size=8M", NULL };
    const char *serve[] = { "mariadbd", "--no-defaults", "--user=nobody",
                            "--datadir=" DATABASE_DIR "/data", "--innodb-log-file-size=8M",
                            "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0",
                            "--bind-address=" LAB_OWN_ADDRESS, "--skip-name-resolve",
                            "--socket=" DATABASE_DIR "/socket", NULL };
    const char *data[] = { "install", "-d", "-o", "nobody", DATABASE_DIR "/data", NULL };

    g_mkdir_with_parents(DATABASE_DIR, 0755);
    if (!lab_command(lab, NULL, chown, NULL, error) || !lab_command(lab, NULL, data, NULL, error) ||
        !lab_command(lab, NULL, make, NULL, error)) {
        return false;
    }
    if (!lab_spawn(lab, NULL, serve, "mariadb.log", error) ||
        !lab_wait_tcp(LAB_OWN_ADDRESS, DATABASE_PORT, LAB_TIMEOUT_MS, error)) {
        g_prefix_error(error, "MariaDB (see mariadb.log in %s): ", lab->dir);
        return false;
    }
    return true;
}
