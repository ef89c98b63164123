/* SPDX-License-Identifier: Apache-2.0 */
/* openapi - the OpenAPI document, a text, made by openapi.py at build. */
#ifndef TM_API_OPENAPI_H
#define TM_API_OPENAPI_H

extern const char tm_openapi[];

#endif
