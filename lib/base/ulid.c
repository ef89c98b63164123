/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ulid.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/err.h"

enum { TIME_BYTES = 6, RECENT = 16, PREFIX_MAX = 5 };

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const int64_t time_max_ms = (INT64_C(1) << 48) - 1;

/* The last ULID of each recent millisecond: threads read the clock before they come here, so that
 * two milliseconds may take turns. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool used;
    int64_t ms;
    struct tm_id16 last;
} recent[RECENT];

static void fill_random(uint8_t *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = getrandom(bytes + done, n - done, 0);
        tm_assert(got > 0 || errno == EINTR);
        done += got > 0 ? (size_t)got : 0;
    }
}

static void make_first(int64_t ms, struct tm_id16 *out)
{
    for (unsigned i = 0; i < TIME_BYTES; i++) {
        out->bytes[i] = (uint8_t)(ms >> (8 * (TIME_BYTES - 1 - i)));
    }
    fill_random(out->bytes + TIME_BYTES, sizeof(out->bytes) - TIME_BYTES);
    out->bytes[TIME_BYTES] &= 0x7f; /* so that counting up never runs into the time */
}

static void count_up(struct tm_id16 *ulid)
{
    for (size_t i = sizeof(ulid->bytes); i-- > TIME_BYTES;) {
        if (++ulid->bytes[i] != 0) {
            return;
        }
    }
}

struct tm_id16 tm_ulid_make(int64_t now_ms)
{
    int64_t ms = now_ms < 0 ? 0 : now_ms > time_max_ms ? time_max_ms : now_ms;
    size_t slot = (size_t)(ms % RECENT);
    (void)pthread_mutex_lock(&lock);
    if (recent[slot].used && recent[slot].ms == ms) {
        count_up(&recent[slot].last);
    } else {
        make_first(ms, &recent[slot].last);
        recent[slot].ms = ms;
        recent[slot].used = true;
    }
    struct tm_id16 made = recent[slot].last;
    (void)pthread_mutex_unlock(&lock);
    return made;
}

int64_t tm_ulid_time_ms(const struct tm_id16 *ulid)
{
    int64_t ms = 0;
    for (unsigned i = 0; i < TIME_BYTES; i++) {
        ms = ms << 8 | ulid->bytes[i];
    }
    return ms;
}

/* The 26 digits hold 130 bits: two zero bits come before the 128 of the id. */
const char *tm_ulid_format(
        const struct tm_id16 *ulid, const char *prefix, char name[TM_ULID_NAME_MAX])
{
    size_t prefix_len = strlen(prefix);
    tm_assert(prefix_len <= PREFIX_MAX);
    (void)snprintf(name, TM_ULID_NAME_MAX, "%s", prefix);
    char *to = name + prefix_len;
    unsigned held = 0;
    unsigned bits = 2;
    for (size_t i = 0; i < sizeof(ulid->bytes); i++) {
        held = held << 8 | ulid->bytes[i];
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            *to++ = digits[held >> bits & 31];
        }
    }
    *to = '\0';
    return name;
}

/* Value of a digit in either case, or -1. Crockford's aliases (I, L for 1; O for 0) are not taken:
 * one id has one spelling. */
static int digit_value(char c)
{
    int upper = c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
    const char *at = upper != '\0' ? strchr(digits, upper) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

bool tm_ulid_parse(const char *name, const char *prefix, struct tm_id16 *out)
{
    size_t prefix_len = strlen(prefix);
    if (strncmp(name, prefix, prefix_len) != 0) {
        return false;
    }
    const char *text = name + prefix_len;
    struct tm_id16 id = {{0}};
    if (strlen(text) != TM_ULID_TEXT_LEN || digit_value(text[0]) > 7) {
        return false;
    }
    unsigned held = 0;
    unsigned bits = 0;
    size_t filled = 0;
    for (size_t i = 0; i < TM_ULID_TEXT_LEN; i++) {
        int value = digit_value(text[i]);
        if (value < 0) {
            return false;
        }
        held = held << 5 | (unsigned)value;
        bits += i == 0 ? 3 : 5;
        if (bits >= 8) {
            bits -= 8;
            id.bytes[filled++] = (uint8_t)(held >> bits);
        }
    }
    *out = id;
    return true;
}
