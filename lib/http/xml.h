/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xml - reading small XML documents over expat: the answers and errors of S3 and STS.
 *
 * Bounded in size, depth, length of names and of texts. A document with a DTD is refused, so that there
 * are no entities but XML's own five. Prefixes of namespaces ("s3:Key") are left out; attributes are not read.
 *
 * Threads: any.
 */
#ifndef TM_HTTP_XML_H
#define TM_HTTP_XML_H

#include "base/err.h"
#include "base/slice.h"

enum {
    TM_XML_DEPTH_MAX = 16,
    TM_XML_PATH_MAX = 256,       /* of all names from the root down */
    TM_XML_TEXT_MAX = 16 * 1024, /* of one element */
    TM_XML_BYTES_MAX = 16 << 20, /* of a document */
};

/*
 * Called at the end of each element, children first: `path` holds the names from the root down,
 * "ListBucketResult/Contents/Key", `text` what stands in the element itself. Anything but TM_OK ends
 * the reading with that error.
 */
typedef enum tm_code (*tm_xml_each)(
        void *arg, const char *path, struct tm_slice text, struct tm_err *err);

/* Read a whole document. TM_E_CORRUPT when it is not well formed or has a DTD; TM_E_LIMIT. */
enum tm_code tm_xml_read(
        struct tm_slice document, tm_xml_each each, void *arg, struct tm_err *err) TM_MUST_CHECK;

#endif
