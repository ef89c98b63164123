/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tm_config - the configuration: read from YAML, checked as a whole, with the place of every error.
 *
 * Options are declared once, in options.def; from there come the parser's table, the defaults, the
 * example file and the reference page. YAML is restricted: one document, no anchors, aliases, tags or
 * merge keys, depth 16, 1 MiB, 10,000 events; scalars are text until the schema types them.
 *
 * References stand for a whole scalar: ${env:NAME}, ${env:NAME:-default}, ${file:/path},
 * ${credential:name} (in $CREDENTIALS_DIRECTORY, else $TIDEMARK_CREDENTIALS_DIRECTORY).
 *
 * Threads: a loaded configuration is read-only; any thread may read it.
 */
#ifndef TM_CONFIG_TM_CONFIG_H
#define TM_CONFIG_TM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/pair.h"
#include "policy/gfs.h"
#include "policy/schedule.h"
#include "policy/select.h"
#include "policy/window.h"

enum tm_cluster_auth { TM_CLUSTER_RDKAFKA, TM_CLUSTER_TOKEN_FILE, TM_CLUSTER_MSK_IAM };

struct tm_config_cluster {
    const char *name;
    const char *bootstrap; /* "host:port,host:port" */
    struct tm_pair *rdkafka;
    size_t rdkafka_count;
    enum tm_cluster_auth auth;
    const char *token_file;    /* auth: token_file */
    const char *region;        /* auth: msk_iam; "": as the brokers' names say */
    bool is_static;            /* credentials: the two texts below */
    const char *access_key_id; /* "" where not given */
    const char *secret_access_key;
    struct tm_hash files; /* what is in the files that ssl.*.location of `rdkafka` name */
};

enum tm_vault_type { TM_VAULT_DISK, TM_VAULT_S3 };
enum tm_vault_lock { TM_VAULT_LOCK_NONE, TM_VAULT_LOCK_GOVERNANCE, TM_VAULT_LOCK_COMPLIANCE };

struct tm_config_s3 { /* texts are "" where not given */
    const char *bucket;
    const char *prefix;
    const char *region;
    const char *endpoint; /* "": AWS's */
    bool path_style;
    const char *ca_file;
    bool is_static; /* credentials: the two texts below */
    const char *access_key_id;
    const char *secret_access_key; /* locked away from logs and answers */
    int64_t bandwidth;             /* bytes per second; 0: no bound */
    enum tm_vault_lock lock_mode;
    int64_t lock_max_ms;
};

struct tm_config_vault {
    const char *name;
    enum tm_vault_type type;
    const char *path;       /* type disk */
    struct tm_config_s3 s3; /* type s3 */
    bool trust_single_writer;
    const char *key_file; /* as written, for messages; NULL: a passphrase is used */
    struct tm_slice key;  /* the 32 bytes, or the passphrase without its newline; locked away
                                    from logs and answers */
    bool key_is_passphrase;
    const char *expect_head; /* "SEQ:HASH" that the log must have; "": none */
    bool create;
    int compression_level; /* 0: compression: none */
    const char *maintenance_text;
    struct tm_schedule maintenance; /* of retention, and of freeing space behind it */
    int64_t sweep_grace_ms;
    bool merge;
    int64_t scrub_bytes_per_day; /* 0: all of it once a month */
    int64_t quota;               /* bytes; 0: none */
    bool read_only;              /* then no policy is of it */
};

enum tm_overlap { TM_OVERLAP_SKIP, TM_OVERLAP_QUEUE };
enum tm_catch_up { TM_CATCH_UP_ONCE, TM_CATCH_UP_NONE };

struct tm_config_drill {
    const char *schedule_text; /* "": by request only */
    struct tm_schedule schedule;
    const struct tm_config_cluster *target; /* NULL: none */
    const char *topic_prefix;
    int64_t max_bytes; /* 0: all */
    bool allow_source;
    bool cleanup;
};

struct tm_config_policy {
    const char *name;
    const struct tm_config_cluster *cluster;
    const struct tm_config_vault *vault;
    struct tm_select *select;
    const char *const *include; /* as written, for answers */
    size_t include_count;
    const char *const *exclude;
    size_t exclude_count;
    bool internal_topics; /* in `select`, like the patterns */
    const char *schedule_text;
    struct tm_schedule schedule;
    enum tm_overlap overlap;
    enum tm_catch_up catch_up;
    bool continuous;      /* mode: flushes between planned runs, */
    int64_t flush_ms;     /* each so long */
    const char *timezone; /* of the schedules and the window */
    int64_t jitter_ms;    /* planned runs begin up to that much later, always the same time */
    int64_t timeout_ms;   /* 0: none */
    int64_t rpo_ms;       /* 0: none */
    bool read_uncommitted;
    bool from_latest;
    bool consumer_groups;
    bool topic_configs;
    bool lag_group;
    const char *window_text;
    struct tm_window window;
    bool skip_corrupt;      /* on_corrupt: skip */
    bool keep_after_outage; /* on_compaction_outage: warn */
    int64_t open_transaction_ms;
    int64_t read_bytes_per_second; /* 0: no bound */
    unsigned workers;              /* limits.workers: topics side by side */
    struct tm_gfs_rules retention;
    int64_t keep_data_ms; /* 0: no archive window */
    struct tm_config_drill drill;
    struct tm_pair *labels; /* in file order */
    size_t label_count;
};

struct tm_config_verify {
    const struct tm_config_vault *vault;
    const char *schedule_text;
    struct tm_schedule schedule;
    int depth; /* 0 catalog, 1 scrub, 2 sample, 3 full */
    int64_t sample_millionths;
};

enum tm_hook_event {
#define X(symbol, name, lasting) TM_HOOK_##symbol,
#include "hook_events.def"
#undef X
    TM_HOOK_EVENTS
};
const char *tm_hook_event_name(enum tm_hook_event event);
/* Is it told once, and again after a time, until it is over? */
bool tm_hook_event_lasts(enum tm_hook_event event);

struct tm_config_hook {
    const char *name;
    const char *url; /* not shown: it may hold a token */
    const char
            *secret; /* locked away from logs and answers: signs what is sent; "": nothing does */
    const char *const *events; /* as written */
    size_t event_count;
    const char *const *policies; /* their events alone; none: all */
    size_t policy_count;
    unsigned on;       /* 1 << enum tm_hook_event */
    bool healthchecks; /* the format */
    bool allow_private;
    int64_t resend_after_ms; /* 0: told once */
};

struct tm_config_names { /* none: no bound */
    const char *const *at;
    size_t count;
};

struct tm_config_token { /* a line of tokens_file */
    const char *name;
    unsigned scopes; /* enum tm_scope bits */
    struct tm_hash sha256;
    int64_t expires_ms;              /* 0: never */
    struct tm_config_names policies; /* what it is narrowed to */
    struct tm_config_names clusters; /* that are backed up */
    struct tm_config_names targets;  /* clusters that are restored into */
};

enum tm_scope { TM_SCOPE_READ = 1, TM_SCOPE_OPERATE = 2, TM_SCOPE_RESTORE = 4, TM_SCOPE_ADMIN = 8 };

struct tm_config_client_scopes { /* of client certificates */
    const char *identity;        /* a SAN URI, or a common name */
    unsigned scopes;             /* enum tm_scope bits */
};

struct tm_config {
    struct {
        const char *socket;         /* "": none */
        const char *listen;         /* "host:port", "": none */
        const char *metrics_listen; /* "": served on `listen` */
        const char *socket_group;   /* "": none */
        int64_t max_body;
        int64_t max_connections;
        int64_t rate_limit; /* requests a second of a token or certificate; 0: no bound */
        struct tm_config_token *tokens;
        size_t token_count;
        const char *tls_cert_file; /* "": no TLS; then the two below are "" too */
        const char *tls_key_file;
        const char *tls_client_ca_file; /* "": no client certificates */
        struct tm_config_client_scopes *clients;
        size_t client_count;
        bool insecure_listen;
        bool watch_config;
        bool ui;
        const char *const *cors_origins;
        size_t cors_origin_count;
    } server;
    struct {
        const char *dir;
    } state;
    struct {
        enum tm_log_level level;
        enum tm_log_format format;
    } log;
    struct {
        int64_t max;
        int64_t memory;
    } workers;
    struct {
        int64_t keep_ms;
        int64_t max_running;
        int64_t max_queued;
        int64_t idempotency_ms;
    } jobs;
    struct {
        int64_t max_topics; /* with series of their own */
        bool process;
    } metrics;
    struct tm_config_cluster *clusters;
    size_t cluster_count;
    struct tm_config_vault *vaults;
    size_t vault_count;
    struct tm_config_policy *policies;
    size_t policy_count;
    struct tm_config_verify *verify;
    size_t verify_count;
    struct tm_config_hook *hooks;
    size_t hook_count;
    struct tm_arena arena;
};

void tm_config_free(struct tm_config *config); /* wipes keys */
TM_OWNABLE(struct tm_config *, tm_config_free);

/* What was found: "FILE:LINE:COL: error|warning: PATH: what; what to do", one a line, in file order. */
struct tm_config_report {
    struct tm_buf text;
    unsigned errors; /* at most 50 are listed */
    unsigned warnings;
};
void tm_config_report_done(struct tm_config_report *report);

/*
 * How a librdkafka property is checked: TM_E_USAGE with the reason. The daemon passes
 * tm_kafka_check_property(); config itself does not know Kafka.
 */
typedef enum tm_code (*tm_config_property_check)(
        const char *name, const char *value, struct tm_err *err);

struct tm_config_load_options {
    const char *path;
    tm_config_property_check check_property; /* NULL: not checked */
    bool read_secrets; /* false: references and key files are not opened (editor, CI) */
};

/*
 * Load and check everything, with what conf.d/NAME.yaml beside the file add; all errors are reported,
 * not the first only. TM_E_USAGE when there is one (then *out is unchanged and `report` lists them),
 * TM_E_MISSING / TM_E_IO / TM_E_LIMIT when the file itself cannot be read. Warnings alone are TM_OK.
 */
enum tm_code tm_config_load(const struct tm_config_load_options *options, struct tm_config **out,
        struct tm_config_report *report, struct tm_err *err) TM_MUST_CHECK;

/* The same from text in memory, without conf.d; `name` stands for the file. For tests, the fuzzer and the API. */
enum tm_code tm_config_parse(struct tm_slice text, const char *name,
        const struct tm_config_load_options *options, struct tm_config **out,
        struct tm_config_report *report, struct tm_err *err) TM_MUST_CHECK;

/*
 * What tells whether the file or one of conf.d has changed, or one of those that `config` (NULL: none) names, of secrets and
 * certificates: append it to `out`, to be compared. False when one of them could not be looked at, and `out` says
 * nothing. It may block, as the disk does.
 */
bool tm_config_stamp(const char *path, const struct tm_config *config, struct tm_buf *out);

const struct tm_config_policy *tm_config_find_policy(
        const struct tm_config *config, const char *name);
const struct tm_config_cluster *tm_config_find_cluster(
        const struct tm_config *config, const char *name);
const struct tm_config_vault *tm_config_find_vault(
        const struct tm_config *config, const char *name);

/* Of an option, or of a section of a list. */
enum tm_config_change {
    TM_CONFIG_ADDED,
    TM_CONFIG_REMOVED,
    TM_CONFIG_CHANGED,
    TM_CONFIG_RESTART, /* changed, and read at start alone */
};

struct tm_config_difference {
    enum tm_config_change change;
    const char *path; /* "log.level", "policies" */
    const char *name; /* of the section; NULL: the option or the list as a whole */
};

typedef void (*tm_config_told)(void *arg, const struct tm_config_difference *difference);

/*
 * Tell what differs, values compared as they were read: files of keys and tokens by what is in them,
 * those of TLS by their names. Nothing is told of two that mean the same.
 */
void tm_config_differ(
        const struct tm_config *now, const struct tm_config *next, tm_config_told told, void *arg);
bool tm_config_same_hook(const struct tm_config_hook *a, const struct tm_config_hook *b);
bool tm_config_same_vault(const struct tm_config_vault *a, const struct tm_config_vault *b);
bool tm_config_same_verify(const struct tm_config_verify *a, const struct tm_config_verify *b);
bool tm_config_same_cluster(const struct tm_config_cluster *a, const struct tm_config_cluster *b);

/*
 * The configuration in force: all options as the file would have them, secrets as "[redacted]". What is not kept of the file
 * (names of key and token files, scopes of client certificates) is left out, or hidden likewise. The caller frees it.
 */
struct tm_json *tm_config_show(const struct tm_config *config);

/* Reference page (Markdown) and full example (YAML) from options.def; for the tools that write docs. */
void tm_config_reference(struct tm_buf *out);
void tm_config_example(struct tm_buf *out);
/* The same as a JSON Schema (2020-12): names, kinds and ranges; what options say of each other is not in it. */
void tm_config_schema(struct tm_buf *out);

#endif
