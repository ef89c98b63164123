/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curl_code - libcurl's failures as ours. Threads: any.
 */
#ifndef TM_HTTP_CURL_CODE_H
#define TM_HTTP_CURL_CODE_H

#include <curl/curl.h>

#include "base/err.h"

/* The code for a failed transfer, and curl's name for it without CURLE_; `name` has room for 40. */
enum tm_code tm_curl_code(CURLcode curl_code, char *name);

#endif
