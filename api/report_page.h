/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_page - the report of a restore or a drill: as the job's JSON, or as a page to be read, printed
 * and kept.
 *
 * The page has no script and loads nothing. Everything in it that is not this file's own is escaped.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_REPORT_PAGE_H
#define TM_API_REPORT_PAGE_H

#include "request.h"

/*
 * Answer with the job that the path names, if it is of that kind (404 else): as a page where `Accept` asks for
 * text/html, else as JSON.
 */
void tm_report_answer(struct tm_request *request, enum tm_job_kind kind);
/* Append the page. */
void tm_report_page(const struct tm_job_view *job, struct tm_buf *out);

#endif
