/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/schema.h"

/*
 * Names out of the log are BLOBs: exact bytes, in bytewise order. `chain` numbers a policy of a
 * cluster: its points follow each other. The point_* tables hold changed rows only; each has its rows by
 * point (first key) and the history of a row by point (index `..._row`).
 */
/* clang-format off */
static const char *const catalog_schema[] = {
    "CREATE TABLE head ("
    " one INTEGER PRIMARY KEY CHECK (one = 1), vault_id BLOB NOT NULL, seq INTEGER NOT NULL,"
    " hash BLOB NOT NULL, full_seq INTEGER NOT NULL, full_bytes INTEGER NOT NULL,"
    " delta_bytes INTEGER NOT NULL) STRICT;",

    "CREATE TABLE param (name BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;",

    "CREATE TABLE stream ("
    " id INTEGER PRIMARY KEY, cluster_id BLOB NOT NULL, topic BLOB NOT NULL,"
    " incarnation INTEGER NOT NULL, topic_id BLOB NOT NULL, created_ms INTEGER NOT NULL,"
    " UNIQUE (cluster_id, topic, incarnation)) STRICT;",
    "CREATE INDEX stream_topic ON stream (topic);",

    "CREATE TABLE keep ("
    " stream INTEGER NOT NULL, policy BLOB NOT NULL, seconds INTEGER NOT NULL,"
    " PRIMARY KEY (stream, policy)) STRICT, WITHOUT ROWID;",

    "CREATE TABLE chain ("
    " id INTEGER PRIMARY KEY, cluster_id BLOB NOT NULL, policy BLOB NOT NULL,"
    " UNIQUE (cluster_id, policy)) STRICT;",
    "CREATE INDEX chain_policy ON chain (policy);",

    "CREATE TABLE point ("
    " id INTEGER PRIMARY KEY, ulid BLOB NOT NULL UNIQUE, chain INTEGER NOT NULL,"
    " time_ms INTEGER NOT NULL, cluster_name BLOB NOT NULL, flags INTEGER NOT NULL) STRICT;",
    "CREATE INDEX point_chain ON point (chain, id);",
    "CREATE INDEX point_chain_ulid ON point (chain, ulid);",

    "CREATE TABLE point_gone ("
    " point INTEGER NOT NULL, stream INTEGER NOT NULL, chain INTEGER NOT NULL,"
    " PRIMARY KEY (point, stream)) STRICT, WITHOUT ROWID;",
    "CREATE INDEX point_gone_row ON point_gone (chain, stream, point);",

    "CREATE TABLE point_topic ("
    " point INTEGER NOT NULL, stream INTEGER NOT NULL, chain INTEGER NOT NULL,"
    " partitions INTEGER NOT NULL, replication_factor INTEGER NOT NULL, configs BLOB NOT NULL,"
    " PRIMARY KEY (point, stream)) STRICT, WITHOUT ROWID;",
    "CREATE INDEX point_topic_row ON point_topic (chain, stream, point);",

    "CREATE TABLE point_part ("
    " point INTEGER NOT NULL, stream INTEGER NOT NULL, part INTEGER NOT NULL,"
    " chain INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, lso INTEGER NOT NULL,"
    " high_watermark INTEGER NOT NULL, status INTEGER NOT NULL,"
    " PRIMARY KEY (point, stream, part)) STRICT, WITHOUT ROWID;",
    "CREATE INDEX point_part_row ON point_part (chain, stream, part, point);",

    "CREATE TABLE point_group ("
    " point INTEGER NOT NULL, name BLOB NOT NULL, stream INTEGER NOT NULL, part INTEGER NOT NULL,"
    " chain INTEGER NOT NULL, next INTEGER NOT NULL, metadata BLOB NOT NULL,"
    " PRIMARY KEY (point, name, stream, part)) STRICT, WITHOUT ROWID;",
    "CREATE INDEX point_group_row ON point_group (chain, stream, part, name, point);",

    "CREATE TABLE point_acl ("
    " point INTEGER NOT NULL, stream INTEGER NOT NULL, chain INTEGER NOT NULL,"
    " acls BLOB NOT NULL, PRIMARY KEY (point, stream)) STRICT, WITHOUT ROWID;",
    "CREATE INDEX point_acl_row ON point_acl (chain, stream, point);",

    "CREATE TABLE mark ("
    " point INTEGER PRIMARY KEY, note BLOB NOT NULL, tags BLOB NOT NULL,"
    " hold_until_ms INTEGER NOT NULL, hold_reason BLOB NOT NULL) STRICT;",

    "CREATE TABLE pack ("
    " id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,"
    " stored_ms INTEGER NOT NULL) STRICT;",

    "CREATE TABLE dep ("
    " pack INTEGER NOT NULL, target BLOB NOT NULL, PRIMARY KEY (pack, target)"
    ") STRICT, WITHOUT ROWID;",
    "CREATE INDEX dep_target ON dep (target);",

    "CREATE TABLE run ("
    " stream INTEGER NOT NULL, part INTEGER NOT NULL, first INTEGER NOT NULL,"
    " length INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " largest INTEGER NOT NULL, ts_min INTEGER NOT NULL, ts_max INTEGER NOT NULL,"
    " pack INTEGER NOT NULL, PRIMARY KEY (stream, part, first)) STRICT, WITHOUT ROWID;",
    "CREATE INDEX run_pack ON run (pack);",

    "CREATE TABLE gap ("
    " stream INTEGER NOT NULL, part INTEGER NOT NULL, first INTEGER NOT NULL,"
    " length INTEGER NOT NULL, reason INTEGER NOT NULL,"
    " PRIMARY KEY (stream, part, first)) STRICT, WITHOUT ROWID;",

    "CREATE TABLE tail ("
    " stream INTEGER NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL,"
    " covered INTEGER NOT NULL, back INTEGER NOT NULL, leader_epoch INTEGER NOT NULL,"
    " timestamp_ms INTEGER NOT NULL, tag BLOB NOT NULL,"
    " PRIMARY KEY (stream, part)) STRICT, WITHOUT ROWID;",

    "CREATE TABLE dropped ("
    " name BLOB PRIMARY KEY, time_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
    "CREATE TABLE moved ("
    " name BLOB NOT NULL, successor BLOB NOT NULL, PRIMARY KEY (name, successor)"
    ") STRICT, WITHOUT ROWID;",
    "CREATE INDEX moved_successor ON moved (successor);",
    "CREATE TABLE swept ("
    " name BLOB PRIMARY KEY, time_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;",

    "CREATE TABLE writer ("
    " cluster_id BLOB NOT NULL, policy BLOB NOT NULL, writer BLOB NOT NULL,"
    " time_ms INTEGER NOT NULL, PRIMARY KEY (cluster_id, policy)) STRICT, WITHOUT ROWID;",

    /* Not of the fold: see content.h. A number of content_pack is never used again. */
    "CREATE TABLE content_pack ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, usable INTEGER NOT NULL"
    ") STRICT;",
    "CREATE TABLE content ("
    " id BLOB PRIMARY KEY, pack INTEGER NOT NULL) STRICT, WITHOUT ROWID;",

    /* Not of the fold either, and kept when it is begun anew: see findings.h. */
    "CREATE TABLE finding ("
    " pack BLOB NOT NULL, stream INTEGER NOT NULL, part INTEGER NOT NULL, first INTEGER NOT NULL,"
    " length INTEGER NOT NULL, kind INTEGER NOT NULL, block INTEGER NOT NULL,"
    " found_ms INTEGER NOT NULL, detail TEXT NOT NULL,"
    " PRIMARY KEY (pack, stream, part, first)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE looked (pack BLOB PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;",

    /* Nor this: see watch.h. Part -1 is the stream as a whole. */
    "CREATE TABLE watch ("
    " stream INTEGER NOT NULL, part INTEGER NOT NULL, whole_ms INTEGER NOT NULL,"
    " stuck_at INTEGER NOT NULL, stuck_ms INTEGER NOT NULL,"
    " old_ms INTEGER NOT NULL, old_start INTEGER NOT NULL, old_end INTEGER NOT NULL,"
    " new_ms INTEGER NOT NULL, new_start INTEGER NOT NULL, new_end INTEGER NOT NULL,"
    " PRIMARY KEY (stream, part)) STRICT, WITHOUT ROWID;",
    NULL,
};

const char tm_schema_catalog_empty[] =
    "DELETE FROM head; DELETE FROM param; DELETE FROM stream; DELETE FROM keep;"
    "DELETE FROM chain; DELETE FROM point; DELETE FROM point_gone; DELETE FROM point_topic;"
    "DELETE FROM point_part; DELETE FROM point_group; DELETE FROM point_acl; DELETE FROM mark;"
    "DELETE FROM pack; DELETE FROM dep; DELETE FROM run; DELETE FROM gap; DELETE FROM tail;"
    "DELETE FROM dropped; DELETE FROM moved; DELETE FROM swept; DELETE FROM writer;"
    "DELETE FROM content; DELETE FROM content_pack; DELETE FROM watch;";

static const char *const journal_schema[] = {
    "CREATE TABLE job ("
    " id BLOB PRIMARY KEY, kind INTEGER NOT NULL, state INTEGER NOT NULL, policy TEXT NOT NULL,"
    " cluster TEXT NOT NULL, requested_by TEXT NOT NULL, request_id TEXT NOT NULL,"
    " request TEXT NOT NULL, result TEXT, error TEXT, warnings TEXT, created_ms INTEGER NOT NULL,"
    " started_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL, resumed INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",
    "CREATE INDEX job_state ON job (state, id);",
    "CREATE INDEX job_policy ON job (policy, id);",

    "CREATE TABLE target ("
    " job BLOB NOT NULL, topic TEXT NOT NULL, created INTEGER NOT NULL,"
    " configured INTEGER NOT NULL, configs TEXT, PRIMARY KEY (job, topic)"
    ") STRICT, WITHOUT ROWID;",
    NULL,
};
/* clang-format on */

const struct tm_sql_kind tm_schema_catalog = {
        .noun = "catalog",
        .hint = "delete it, it is made again from the vault",
        .application_id = 0x544d4341, /* "TMCA" */
        .version = 3,
        .schema = catalog_schema,
        .durable = false,
        .disposable = true,
};

const struct tm_sql_kind tm_schema_journal = {
        .noun = "journal",
        .hint = "move it away, only the history of jobs is lost",
        .application_id = 0x544d4a4f, /* "TMJO" */
        .version = 1,
        .schema = journal_schema,
        .durable = true,
};
