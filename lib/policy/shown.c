/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/shown.h"

#include <stdbool.h>
#include <string.h>

const char *tm_shown(const char *text, size_t len, char shown[TM_SHOWN_MAX])
{
    static const char cut[] = "...";
    size_t room = TM_SHOWN_MAX - sizeof(cut);
    size_t kept = len < room ? len : room;
    for (size_t i = 0; i < kept; i++) {
        bool printable = text[i] >= ' ' && text[i] <= '~';
        shown[i] = '?';
        if (printable) {
            shown[i] = text[i];
        }
    }
    memcpy(shown + kept, kept < len ? cut : "", kept < len ? sizeof(cut) : 1);
    return shown;
}
