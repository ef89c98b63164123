/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include <string.h>

#include "base/text.h"

const char *tm_digest_read(const struct tm_part *body)
{
    static const char prefix[] = "sha256:";
    struct tm_hash ignored;
    const char *digest = tm_body_str(body, "plan_digest");
    if (digest == NULL) {
        return NULL;
    }
    if (strncmp(digest, prefix, sizeof(prefix) - 1) != 0 ||
            !tm_parse_hex(digest + sizeof(prefix) - 1, ignored.bytes, sizeof(ignored.bytes))) {
        tm_body_wrong(
                body, "plan_digest", "must be \"sha256:\" and 64 hex digits, as a plan gave it");
    }
    return digest;
}
