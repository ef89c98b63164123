/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters, and which of their topics are backed up. */
#include "problem.h"
#include "routes.h"

enum { TOPICS_DEFAULT = 50, TOPICS_MAX = 500 };

void tm_clusters_list(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->clusters(control->self, tm_problem_or_json, request);
}

void tm_clusters_get(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->cluster(control->self, request->name, tm_problem_or_json, request);
}

void tm_clusters_topics(struct tm_request *request)
{
    const char *cursor = tm_query_cursor(request);
    struct tm_topics_query query = {
            .cluster = request->name,
            .contains = tm_query_get(request, "q"),
            .covered = tm_query_choice(request, "protected", "false true", -1),
            .limit = (size_t)tm_query_int(request, "limit", TOPICS_DEFAULT, 1, TOPICS_MAX),
            .after = cursor,
    };
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->cluster_topics(control->self, &query, tm_problem_or_json, request);
}
