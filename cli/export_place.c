/* SPDX-License-Identifier: Apache-2.0 */
#include "export_place.h"

#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

enum { FOLDER_MODE = 0700 };

static bool is_folder(const char *path)
{
    struct stat info;
    size_t len = strlen(path);
    return (len > 0 && path[len - 1] == '/') || (stat(path, &info) == 0 && S_ISDIR(info.st_mode));
}

enum tm_code cli_export_place_open(struct cli_export_place *place, const char *to,
        enum tm_export_format format, struct tm_err *err)
{
    place->suffix = format == TM_EXPORT_BINARY ? ".tmvx" : ".jsonl";
    if (to == NULL || strcmp(to, "-") == 0) {
        return tm_out_file_open(NULL, &place->file, err);
    }
    if (!is_folder(to)) {
        return tm_out_file_open(to, &place->file, err);
    }
    place->folder = to;
    return tm_fs_mkdirs(to, FOLDER_MODE, err);
}

/* Kafka's own rule; the name becomes that of a file. */
static bool is_file_name(const char *topic)
{
    return topic[0] != '\0' && strchr(topic, '/') == NULL && strcmp(topic, ".") != 0 &&
           strcmp(topic, "..") != 0;
}

static enum tm_code begin_topic(void *arg, const char *topic, struct tm_err *err)
{
    struct cli_export_place *place = arg;
    if (place->folder == NULL) {
        return TM_OK;
    }
    TM_TRY(cli_export_place_finish(place, err));
    if (!is_file_name(topic)) {
        return tm_err_set(err, TM_E_USAGE, "topic \"%.200s\" cannot be the name of a file", topic);
    }
    size_t len = strlen(place->folder);
    bool slash = len > 0 && place->folder[len - 1] == '/';
    tm_buf_clear(&place->path);
    tm_buf_add_fmt(&place->path, "%s%s%s%s", place->folder, slash ? "" : "/", topic, place->suffix);
    return tm_out_file_open(tm_buf_text(&place->path), &place->file, err);
}

static enum tm_code write_some(void *arg, struct tm_slice bytes, struct tm_err *err)
{
    struct cli_export_place *place = arg;
    return tm_out_file_write(place->file, bytes, err);
}

struct tm_export_sink cli_export_place_sink(struct cli_export_place *place)
{
    return (struct tm_export_sink){.arg = place, .topic = begin_topic, .write = write_some};
}

enum tm_code cli_export_place_finish(struct cli_export_place *place, struct tm_err *err)
{
    TM_OWN(tm_out_file_free) struct tm_out_file *file = TM_TAKE(place->file);
    return file != NULL ? tm_out_file_finish(file, err) : TM_OK;
}

void cli_export_place_done(struct cli_export_place *place)
{
    tm_out_file_free(place->file);
    tm_buf_done(&place->path);
}
