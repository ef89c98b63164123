/* SPDX-License-Identifier: Apache-2.0 */
#include "http/guard.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* clang-format off */
static const struct {
    uint32_t network;
    unsigned bits;
    enum tm_http_reach up_to; /* the widest reach that may not go there is the next one */
} four[] = {
    {0x00000000, 8,  TM_HTTP_ANYWHERE}, /* this network */
    {0x646464c8, 32, TM_HTTP_ANYWHERE}, /* 100.100.100.200: metadata of a cloud */
    {0xa9fe0000, 16, TM_HTTP_ANYWHERE}, /* link-local; 169.254.169.254 is metadata */
    {0xe0000000, 3,  TM_HTTP_ANYWHERE}, /* multicast, reserved, broadcast */
    {0x0a000000, 8,  TM_HTTP_PRIVATE},
    {0x64400000, 10, TM_HTTP_PRIVATE},  /* of carriers */
    {0x7f000000, 8,  TM_HTTP_PRIVATE},  /* this host */
    {0xac100000, 12, TM_HTTP_PRIVATE},
    {0xc0000000, 24, TM_HTTP_PRIVATE},
    {0xc0a80000, 16, TM_HTTP_PRIVATE},
    {0xc6120000, 15, TM_HTTP_PRIVATE},  /* benchmarks */
};

static const struct {
    uint8_t network[16];
    unsigned bits;
    enum tm_http_reach up_to;
} six[] = {
    {{0}, 128, TM_HTTP_ANYWHERE},                            /* :: */
    {{0xfd, 0x00, 0x0e, 0xc2}, 32, TM_HTTP_ANYWHERE},        /* fd00:ec2::254 is metadata */
    {{0xfe, 0x80}, 10, TM_HTTP_ANYWHERE},                    /* link-local */
    {{0xff}, 8, TM_HTTP_ANYWHERE},                           /* multicast */
    {{[15] = 1}, 128, TM_HTTP_PRIVATE},                      /* ::1 */
    {{0xfc}, 7, TM_HTTP_PRIVATE},
    {{0xfe, 0xc0}, 10, TM_HTTP_PRIVATE},
};

/* Where an IPv4 address lies in an IPv6 one of that network. */
static const struct {
    uint8_t network[16];
    unsigned bits;
    size_t at;
} within[] = {
    {{[10] = 0xff, [11] = 0xff}, 96, 12},    /* ::ffff:a.b.c.d */
    {{0}, 96, 12},                           /* ::a.b.c.d */
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12},      /* NAT64 */
    {{0x20, 0x02}, 16, 2},                   /* 6to4 */
};
/* clang-format on */

static bool allows_four(enum tm_http_reach reach, uint32_t address)
{
    for (size_t i = 0; i < LENGTH(four); i++) {
        uint32_t mask = ~(uint32_t)0 << (32 - four[i].bits);
        if ((address & mask) == four[i].network && reach > four[i].up_to) {
            return false;
        }
    }
    return true;
}

static bool is_in(const uint8_t *address, const uint8_t *network, unsigned bits)
{
    size_t bytes = bits / 8;
    unsigned rest = bits % 8;
    unsigned mask = rest > 0 ? 0xffU << (8 - rest) : 0;
    return memcmp(address, network, bytes) == 0 &&
           (rest == 0 || ((address[bytes] ^ network[bytes]) & mask & 0xffU) == 0);
}

static bool allows_six(enum tm_http_reach reach, const uint8_t *address)
{
    for (size_t i = 0; i < LENGTH(six); i++) {
        if (is_in(address, six[i].network, six[i].bits)) {
            return reach <= six[i].up_to;
        }
    }
    for (size_t i = 0; i < LENGTH(within); i++) {
        if (is_in(address, within[i].network, within[i].bits)) {
            const uint8_t *at = address + within[i].at;
            return allows_four(reach, (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
                                              (uint32_t)at[2] << 8 | (uint32_t)at[3]);
        }
    }
    return true;
}

bool tm_guard_allows(enum tm_http_reach reach, const struct sockaddr *address)
{
    if (reach == TM_HTTP_ANYWHERE) {
        return true;
    }
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return allows_four(reach, ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof(in));
        return allows_six(reach, in.sin6_addr.s6_addr);
    }
    return false;
}
