/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_open - a store by its kind, as a configuration or a command line names it. Threads: any.
 */
#ifndef TM_STORE_STORE_OPEN_H
#define TM_STORE_STORE_OPEN_H

#include "store/store_s3.h"

struct tm_store_place {
    bool in_bucket;
    const char *path; /* not in a bucket: the folder */
    bool make;        /* the folder may be made */
    struct tm_store_s3_options s3;
    bool trust_single_writer; /* tm_store_probe() accepts a store without conditional create */
    bool read_only;           /* nothing is written */
    const char *vault;        /* label of its metrics; NULL: it has none */
};

enum tm_code tm_store_open(const struct tm_store_place *place, struct tm_store **out,
        struct tm_err *err) TM_MUST_CHECK;

/*
 * Open what a person names: "s3://BUCKET[/PREFIX][?OPTIONS]", "file:///FOLDER", or a folder as it is. Options:
 * region=, endpoint=, path_style=true, ca_file=. Without them AWS_REGION or AWS_DEFAULT_REGION, and
 * AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, count; credentials are found as by TM_AWS_AUTO. `make` is of folders.
 */
enum tm_code tm_store_open_url(
        const char *url, bool make, struct tm_store **out, struct tm_err *err) TM_MUST_CHECK;

#endif
