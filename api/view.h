/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view - what control knows, as the JSON of docs/api.md. What is not known is left out.
 *
 * Threads: any.
 */
#ifndef TM_API_VIEW_H
#define TM_API_VIEW_H

#include "base/json.h"
#include "tm_control.h"

struct tm_json *tm_view_job(const struct tm_job_view *job);
struct tm_json *tm_view_point_line(
        const struct tm_point_line *line, const char *vault, uint32_t kept_by);
/* "kept_by": rules of retention; an empty list where nothing keeps the point. */
void tm_view_add_kept_by(struct tm_json *json, uint32_t kept_by);
/* "verified": whether all that the point needs has been read and found whole. */
void tm_view_add_verified(struct tm_json *json, const struct tm_point_answer *answer);
struct tm_json *tm_view_point(const struct tm_point_answer *answer);
struct tm_json *tm_view_plan(
        const struct tm_restore_plan *plan, const struct tm_restore_request *request);
struct tm_json *tm_view_vault(const struct tm_vault_view *vault);
/* "paused", where it is. */
void tm_view_add_pause(struct tm_json *json, const struct tm_policy_view *policy);
struct tm_json *tm_view_policy(const struct tm_policy_view *policy);
struct tm_json *tm_view_status_row(const struct tm_status_row *row);

/* A time in milliseconds; 0 is left out. */
void tm_view_add_time(struct tm_json *object, const char *key, int64_t time_ms);
/* Milliseconds as seconds; 0 is left out. */
void tm_view_add_seconds(struct tm_json *object, const char *key, int64_t ms);
bool tm_view_job_ended(const struct tm_job_view *job);

#endif
