/* SPDX-License-Identifier: Apache-2.0 */
#include "http/xml.h"

#include <expat.h>
#include <string.h>

#include "base/buf.h"

/*
 * Invariant: path holds the names of the `depth` open elements; path_len[i] and text_start[i] are
 * where the name and the text of element i begin. Texts of open elements lie behind one another: a
 * text that goes on behind a child is put together when the child has been cut off.
 */
struct reader {
    XML_Parser parser;
    tm_xml_each each;
    void *arg;
    struct tm_err *err;
    char path[TM_XML_PATH_MAX];
    size_t path_len[TM_XML_DEPTH_MAX + 1];
    size_t text_start[TM_XML_DEPTH_MAX + 1];
    struct tm_buf text;
    size_t depth;
};

static void stop(struct reader *reader, enum tm_code code, const char *why)
{
    if (reader->err->code == TM_OK) {
        (void)tm_err_set(reader->err, code, "XML: line %lu: %s",
                (unsigned long)XML_GetCurrentLineNumber(reader->parser), why);
    }
    (void)XML_StopParser(reader->parser, XML_FALSE);
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *reader = arg;
    (void)attributes;
    const char *colon = strrchr(name, ':');
    const char *local = colon != NULL ? colon + 1 : name;
    size_t start = reader->path_len[reader->depth];
    size_t slash = start > 0 ? 1 : 0;
    size_t len = strlen(local);
    if (reader->depth >= TM_XML_DEPTH_MAX || len >= TM_XML_PATH_MAX - start - slash) {
        stop(reader, TM_E_LIMIT, "elements are nested too deeply");
        return;
    }
    if (slash > 0) {
        reader->path[start] = '/';
    }
    memcpy(reader->path + start + slash, local, len + 1);
    reader->depth++;
    reader->path_len[reader->depth] = start + slash + len;
    reader->text_start[reader->depth] = reader->text.len;
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    struct reader *reader = arg;
    (void)name;
    if (reader->err->code != TM_OK) {
        return; /* expat still tells the end of an element that was refused */
    }
    size_t start = reader->text_start[reader->depth];
    tm_buf_reserve(&reader->text, 1);
    struct tm_slice text = tm_slice_of(reader->text.at + start, reader->text.len - start);
    if (reader->each(reader->arg, reader->path, text, reader->err) != TM_OK) {
        (void)XML_StopParser(reader->parser, XML_FALSE);
    }
    reader->text.len = start;
    reader->depth--;
    reader->path[reader->path_len[reader->depth]] = '\0';
}

static void XMLCALL on_text(void *arg, const XML_Char *at, int len)
{
    struct reader *reader = arg;
    size_t has = reader->text.len - reader->text_start[reader->depth];
    if ((size_t)len > TM_XML_TEXT_MAX - has) {
        stop(reader, TM_E_LIMIT, "a text is too long");
        return;
    }
    tm_buf_add(&reader->text, at, (size_t)len);
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
        const XML_Char *public_id, int has_internal)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_internal;
    stop(arg, TM_E_CORRUPT, "a document type is not accepted");
}

enum tm_code tm_xml_read(struct tm_slice document, tm_xml_each each, void *arg, struct tm_err *err)
{
    if (document.len > TM_XML_BYTES_MAX) {
        return tm_err_set(err, TM_E_LIMIT, "XML: %zu bytes are too many", document.len);
    }
    struct reader reader = {.each = each, .arg = arg, .err = err};
    reader.parser = XML_ParserCreate(NULL);
    tm_assert(reader.parser != NULL);
    XML_SetUserData(reader.parser, &reader);
    XML_SetElementHandler(reader.parser, on_start, on_end);
    XML_SetCharacterDataHandler(reader.parser, on_text);
    XML_SetStartDoctypeDeclHandler(reader.parser, on_doctype);
    const char *bytes = document.len > 0 ? (const char *)document.at : "";
    enum XML_Status status = XML_Parse(reader.parser, bytes, (int)document.len, 1);
    if (status != XML_STATUS_OK && err->code == TM_OK) {
        stop(&reader, TM_E_CORRUPT, XML_ErrorString(XML_GetErrorCode(reader.parser)));
    }
    XML_ParserFree(reader.parser);
    tm_buf_done(&reader.text);
    return err->code;
}
