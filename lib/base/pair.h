/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair - a name and the text that it has: a property, a label.
 *
 * Threads: plain data; both texts belong to whoever made the pair.
 */
#ifndef TM_BASE_PAIR_H
#define TM_BASE_PAIR_H

struct tm_pair {
    const char *name;
    const char *value;
};

#endif
