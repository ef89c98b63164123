/* SPDX-License-Identifier: Apache-2.0 */
/*
 * groups - consumer groups of a cluster: which there are, where they stand, and setting it.
 *
 * Groups of the classic and of the consumer protocol, and what commits offsets without being a member
 * ("simple"). Share groups and streams groups keep no offsets of that kind; the library does not list
 * them.
 *
 * A handle of its own, opened with `groups`: librdkafka 2.14.2 asks for the coordinator of the handle's
 * own group when that of another one has moved, and a handle without a group crashes there
 * (rd_kafka_handle_OffsetFetch). It is closed when its job ends: a question that was given up stays in it, and must
 * not wait there for an hour (internal.h, tm_admin_call_of_group).
 *
 * Errors are those of kafka.h. A cluster lists only what the principal may describe, and says nothing of
 * the rest: see `complete`. Threads: any.
 */
#ifndef TM_KAFKA_GROUPS_H
#define TM_KAFKA_GROUPS_H

#include "kafka/kafka.h"

enum {
    TM_GROUPS_MAX = 100 * 1000,
    TM_GROUP_ROWS_MAX = 1000 * 1000,   /* offsets of all groups together */
    TM_GROUP_METADATA_MAX = 32 * 1024, /* brokers take 4096 where they are not told otherwise */
};

struct tm_group_offset {
    const char *topic;
    int32_t partition;
    int64_t offset; /* the next to be read */
    struct tm_slice metadata;
    enum tm_code code; /* after setting it: TM_OK, or why it was not */
    const char *error;
};

struct tm_group {
    const char *name;
    bool simple;       /* no member ever joined it */
    bool active;       /* it has members, or is about to */
    const char *state; /* "Stable", "Empty", ...; static */
    enum tm_code code; /* of asking for its offsets */
    const char *error; /* text to `code`; NULL when it is TM_OK */
    bool passing;      /* it may answer otherwise in a moment; asked until the time was over */
    struct tm_group_offset *offsets; /* by topic and partition */
    size_t offset_count;
};

struct tm_group_list {
    struct tm_arena arena;
    struct tm_group *at; /* by name, each once */
    size_t count;
    bool complete; /* the principal may describe the cluster: it has no other groups */
};
void tm_group_list_done(struct tm_group_list *list);

/*
 * All groups, without offsets. TM_E_UNSUPPORTED where the cluster cannot list them (the mock);
 * TM_E_LIMIT more than TM_GROUPS_MAX. A broker that does not answer is an error of the whole.
 */
enum tm_code tm_kafka_groups(struct tm_kafka *kafka, int64_t timeout_ms, struct tm_group_list *out,
        struct tm_err *err) TM_MUST_CHECK;

/*
 * Fill in the committed offsets of these groups (names given), of the topics that `wanted` (NULL: all)
 * is true of, into `arena`; 50 groups are asked at a time. What one group answers wrongly is in its
 * `code`; TM_E_LIMIT more than TM_GROUP_ROWS_MAX rows.
 */
enum tm_code tm_kafka_group_offsets(struct tm_kafka *kafka, struct tm_group *groups, size_t count,
        bool (*wanted)(void *arg, const char *topic), void *arg, int64_t timeout_ms,
        struct tm_arena *arena, struct tm_err *err) TM_MUST_CHECK;

/*
 * Set offsets of a group, each partition once; the group is made where there is none. TM_OK: the
 * brokers took all of them. Else each row's `code` and `error` (in `arena`) say which they did not.
 * TM_E_CONFLICT: the group has active members.
 */
enum tm_code tm_kafka_set_group_offsets(struct tm_kafka *kafka, const char *group,
        struct tm_group_offset *rows, size_t count, int64_t timeout_ms, struct tm_arena *arena,
        struct tm_err *err) TM_MUST_CHECK;

#endif
