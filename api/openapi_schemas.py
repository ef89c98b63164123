# SPDX-License-Identifier: Apache-2.0
"""What bodies and answers of the API hold, in JSON Schema 2020-12, for api/openapi.py.

Objects of answers may get more members later, and enums more values: readers ignore what they do not know.
"""

I64 = 2**63 - 1


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def text(about="", least=0, most=None, pattern=None, **more):
    made = {"type": "string"} | ({"minLength": least} if least else {}) | ({"maxLength": most} if most else {})
    return made | ({"pattern": pattern} if pattern else {}) | ({"description": about} if about else {}) | more


def word(*words, about="", default=None):
    made = {"type": "string", "enum": list(words)} | ({"description": about} if about else {})
    return made | ({"default": default} if default is not None else {})


def number(about="", least=0, most=I64, **more):
    return {"type": "integer", "format": "int64", "minimum": least, "maximum": most} | ({"description": about} if about else {}) | more


def flag(about="", **more):
    return {"type": "boolean"} | ({"description": about} if about else {}) | more


def real(about=""):
    return {"type": "number"} | ({"description": about} if about else {})


def array(items, about="", **more):
    return {"type": "array", "items": items} | ({"description": about} if about else {}) | more


def mapping(values, about="", **more):
    return {"type": "object", "additionalProperties": values} | ({"description": about} if about else {}) | more


def answer(required, **properties):
    """An object of an answer: `required` is always there."""
    names = required.split()
    assert set(names) <= set(properties), set(names) - set(properties)
    return {"type": "object", "properties": properties} | ({"required": names} if names else {})


def body(required="", about="", **properties):
    """An object of a request: nothing else is taken."""
    made = answer(required, **properties) | {"additionalProperties": False}
    return made | ({"description": about} if about else {})


def either(*schemas, about=""):
    return {"anyOf": list(schemas)} | ({"description": about} if about else {})


NULL = {"type": "null"}
TIME = {"type": "string", "format": "date-time", "description": "RFC 3339, in UTC, with milliseconds."}
JOB_ID = text("A job.", pattern="^job_[0-7][0-9A-HJKMNP-TV-Z]{25}$")
POINT_ID = text("A recovery point.", pattern="^rp_[0-7][0-9A-HJKMNP-TV-Z]{25}$")
POINT_WORD = text("A recovery point, or the newest one.", pattern="^(latest|rp_[0-7][0-9A-HJKMNP-TV-Z]{25})$")
ANY_POINT = text("rp_..., or latest with `policy`.", pattern="^(latest|rp_[0-7][0-9A-HJKMNP-TV-Z]{25})$")
DIGEST = text("Of a plan.", pattern="^sha256:[0-9a-f]{64}$")
HEX32 = text(pattern="^[0-9a-f]{32}$")
# These are components of their own, so that whoever makes requests can say which names there are.
NAME = text("A name of the configuration.", least=1)
POLICY_NAME, VAULT_NAME, CLUSTER_NAME, HOOK_NAME = ref("PolicyName"), ref("VaultName"), ref("ClusterName"), ref("HookName")
AMOUNT = "[1-9][0-9]{0,3}(ms|s|m|h|d|w)"
DAY = "20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])"
WHEN_TEXT = text("RFC 3339 with an offset, 13 digits of epoch milliseconds, -2h, now-2h, 2h ago or now.",
                 pattern=f"^(now|(now)?-{AMOUNT}|{AMOUNT} ago|1[0-9]{{12}}|{DAY}T{CLOCK})$")
DURATION = text("Like 90s, 5m, 24h, 7d.", pattern=f"^{AMOUNT}$")
TO_COME = text("A time to come, or a duration from now on.", pattern=f"^({AMOUNT}|2[1-9][0-9]{{12}}|{DAY}T{CLOCK})$")
WHEN = either(ref("When"), {"type": "integer", "format": "int64", "description": "Epoch milliseconds."})
PARTITION = number("A partition.", 0, 2**31 - 1)
TOPIC = text("A topic.", least=1, most=249)
GAP_REASON = word("source-retention", "source-delete", "unknown", "skipped", "lost-in-vault", "corrupt-on-broker", "no-records")
JOB_STATES = ("queued", "running", "succeeded", "partial", "failed", "cancelled")
JOB_KINDS = ("backup", "restore", "verify", "retention", "delete", "import", "drill")

PARAMETERS = {
    "path policy": POLICY_NAME, "path vault": VAULT_NAME, "path hook": HOOK_NAME, "path cluster": CLUSTER_NAME,
    "path id": text(least=1), "path slug": text("As `type` of a problem has it.", least=1), "path file": {"enum": ["app.js", "draw.js", "style.css", "icon.svg"]},
    "cluster": text("Those of that cluster.", 1), "policy": text("Those of that policy.", 1), "topic": text("Those of that topic.", 1),
    "count": word("true", "false", about="Tell total_count, too; not to narrowed tokens."), "at": ref("When"),
    "wait": text("How long to wait for the job's end, at most 60s.", pattern="^(0|(60|[1-5]?[0-9])s|(60000|[1-5][0-9]{4}|[1-9][0-9]{0,3}|0)ms|[01]m|0[hdw])$"),
    "state": word(*JOB_STATES, about="Those in that state."),
    "q": text("Those whose name contains it.", 1), "protected": word("true", "false", about="Those that a policy selects, or the others."),
    "kind": word(*JOB_KINDS, about="Those of that kind."),
    "step": text("Give sums over steps of that length, too; it is multiplied where there would be more than 2,000.", pattern="^([1-9][0-9]{0,5}[smh]|[1-9][0-9]{0,3}d|[1-9][0-9]{0,2}w)$"),
    "since": ref("When"), "until": ref("When"),
    "limit": number("Rows of a page.", 1, 500, default=50),
    "cursor": text("next_cursor of the page before; empty: the first page."),
    "breached": word("true", "false", about="Those whose objective is breached, or is not."),
    "result": word("passed", "failed", about="Those that ended so."),
    "tag": text("Those with that tag.", 1), "held": word("true", "false", about="Those whose hold is in force, or is not."),
    "partition": PARTITION, "offset": number("The first at or above it."),
}

PROBLEM = answer(
    "type title status instance",
    type=text("/problems/SLUG", pattern="^/problems/[a-z-]+$"), title=text(), status=number(), detail=text(), instance=text(),
    errors=array(answer("detail", pointer=text("JSON Pointer into the body."), parameter=text("Of the query."), detail=text(),
                        allowed=array(text()))),
    offset=number(), line=number(), column=number(), required_scope=text(), scopes=array(text()), kind=text(), name=text(),
    similar=either(array(text()), text()), allow=either(array(text()), text()), job=text(), hold=text(), current_plan_digest=text(), current_etag=text(),
    limit_bytes=number(), supported=either(array(text()), text()), header=text(), request_id=text(), vault=text(), cause=text(),
    retry_after_seconds=number())

NOTE = answer("code detail", code=text(), detail=text(), topic=text(), partition=PARTITION)
HOLD = answer("", reason=text(), until=TIME)

PROGRESS = answer(
    "phase done_messages total_messages done_bytes total_bytes throughput_bytes_per_second partitions",
    phase=word("queued", "planning", "reading", "committing", "creating", "producing", "proving", "checking", "repairing", "expiring",
               "dropping", "merging", "sweeping", "importing", "done"),
    done_messages=number(), total_messages=number(), done_bytes=number(), total_bytes=number(), done_ratio=real(),
    throughput_bytes_per_second=number(), eta_seconds=number(),
    partitions=answer("done running waiting failed", done=number(), running=number(), waiting=number(), failed=number()))

JOB_ERROR = answer("type title status detail code", type=text(), title=text(), status=number(), detail=text(), code=text())

BACKUP_RESULT = answer(
    "unchanged topics_count partitions_count messages_count source_bytes stored_bytes deduplicated_bytes gaps_count",
    recovery_point=POINT_ID, unchanged=flag(), topics_count=number(), partitions_count=number(), messages_count=number(),
    source_bytes=number(), stored_bytes=number(), deduplicated_bytes=number(), gaps_count=number(), throttled_seconds=real(),
    failures=array(ref("Note")))

HELD = answer("cluster topic setting held state", cluster=text(), topic=text(), setting=text(), held=text(), original=text(),
              state=word("held", "put-back", "left", "gone", "planned"), put_back_at=TIME, detail=text())

RESTORED_TOPIC = answer("source target partitions_count messages_count source_bytes", source=text(), target=text(),
                        partitions_count=number(), messages_count=number(), source_bytes=number())

RESTORED_GROUP = answer(
    "group target state", group=text(), target=text(), state=text(), detail=text(), offsets_count=number(),
    offsets=array(answer("topic target target_partition", topic=text(), target=text(), partition=PARTITION, offset=number(),
                         target_partition=PARTITION, target_offset=number(),
                         found=word("exact", "next", "before", "end", "lowest"))))

RESTORE_RESULT = answer(
    "recovery_point target_cluster",
    recovery_point=POINT_ID, target_cluster=text(), topics_count=number(), partitions_count=number(), messages_count=number(),
    written_messages_count=number(), written_bytes=number(), proof=word("identical", "failed"), topics=array(ref("RestoredTopic")),
    options={"type": "object", "description": "What was asked for, as it was understood."}, held=array(ref("Held")),
    consumer_groups=array(ref("RestoredGroup")), failures=array(ref("Note")), policy=text(), result=word("passed", "failed"),
    duration_seconds=real(),
    checks=array(answer("name result", name=text(), result=word("passed", "failed"), detail=text(), expected=number(), actual=number(),
                        partitions_count=number(), topics_count=number())),
    max_bytes=number(), newest_per_partition=number())

VERIFY_RESULT = answer(
    "vault depth faults_count", vault=text(), depth=word("catalog", "scrub", "sample", "full"), packs_count=number(),
    blocks_count=number(), messages_count=number(), read_bytes=number(), packs_left_count=number(), faults_count=number(),
    findings_count=number(),
    faults=array(answer("kind object", kind=text(), object=text(), block=number(), cluster_id=text(), topic=text(),
                        incarnation=number(), partition=PARTITION, first_offset=number(), last_offset=number(),
                        recovery_points_count=number(), detail=text())),
    damaged_recovery_points=array(text()),
    repairs=array(answer("object repaired", object=text(), repaired=flag(), kept_messages_count=number(),
                         read_again_messages_count=number(), lost_offsets_count=number(), detail=text())))

RETENTION_RESULT = answer(
    "vault", vault=text(), points_removed_count=number(), points_kept_count=number(), packs_dropped_count=number(),
    dropped_bytes=number(), packs_merged_count=number(), packs_made_count=number(), rewritten_bytes=number(),
    objects_swept_count=number(), orphans_count=number(), reclaimed_bytes=number(), log_entries_removed_count=number())

JOB = answer(
    "id kind state requested_by created_at links",
    id=JOB_ID, kind=word(*JOB_KINDS), state=word(*JOB_STATES), requested_by=text("schedule, or who asked."), request_id=text(),
    created_at=TIME, started_at=TIME, finished_at=TIME, resumed_count=number(), policy=text(), cluster=text(), vault=text(),
    recovery_point=text(), progress=ref("Progress"),
    result=either(ref("BackupResult"), ref("RestoreResult"), ref("VerifyResult"), ref("RetentionResult"),
                  answer("vault recovery_point", vault=text(), recovery_point=text()),
                  answer("vault log_entries_count head_sequence", vault=text(), log_entries_count=number(), head_sequence=number())),
    error=ref("JobError"), warnings=array(ref("Note")), links=answer("self", self=text(), cancel=text()))

PAUSED = answer("since", since=TIME, until=TIME, reason=text(), by=text())

POLICY = answer(
    "name cluster vault topics timezone",
    name=NAME, cluster=NAME, vault=NAME, topics=answer("include exclude", include=array(text()), exclude=array(text())),
    mode=word("scheduled", "continuous"), flush_seconds=real(), schedule=text(), timezone=text(), jitter_seconds=real(), paused=ref("Paused"), interval_seconds=real(), rpo_seconds=real(),
    newest_point=POINT_ID, newest_point_at=TIME, oldest_point_at=TIME, last_success_at=TIME, last_result=word(*JOB_STATES),
    last_error=ref("JobError"), next_run_at=TIME, last_attempt_at=TIME, running_job=JOB_ID,
    labels=mapping(text(), "As configured."))

STATES = word("breached", "losing", "gap", "never", "stale", "late", "paused", "ok")
STATUS_ROW = answer(
    "cluster policy state coverage_gap_offsets", cluster=text(), policy=text(), topic=text(), state=STATES, exposure_seconds=number(),
    behind_messages=number(), coverage_gap_offsets=number(), retention_headroom_seconds=number(), open_transaction_seconds=number(),
    rpo_seconds=real(), newest_point=POINT_ID, newest_point_at=TIME, oldest_point_at=TIME, last_success_at=TIME,
    last_result=word(*JOB_STATES), last_error=ref("JobError"), next_run_at=TIME)

CLUSTER = answer(
    "name bootstrap policies", name=NAME, bootstrap=text(), policies=array(text()), up=flag("Did it answer the last look?"),
    looked_at=TIME, detail=text("Why it did not."), cluster_id=text(), brokers_count=number(), topics_count=number(),
    protected_topics_count=number(), unprotected_topics_count=number(), internal_topics_count=number("Kafka's own, not backed up."))

CLUSTER_TOPIC = answer(
    "name partitions_count internal protected policies", name=text(), partitions_count=number(), replication_factor=number(),
    internal=flag(), protected=flag("Does a policy select it?"), policies=array(text()))

STATUS = answer(
    "as_of ok breached_count items", as_of=TIME, ok=flag(), breached_count=number(),
    unprotected_topics_count=number("Topics that no policy selects, once the clusters were looked at."),
    worst=answer("cluster policy state", cluster=text(), policy=text(), topic=text(), state=STATES, exposure_seconds=number(),
                 rpo_seconds=real()),
    items=array(ref("StatusRow")), next_cursor=text(),
    total_count=number("With count=true: on all pages."))

RULES = array(word("keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "within_max_age", "min_points", "newest", "flush",
                   "held", "no_rule", "policy_not_configured"))

POINT_LINE_OF = dict(
    id=POINT_ID, policy=text(), cluster=text(), cluster_id=text(), vault=text(), state=word("complete", "partial", "damaged"),
    captured_at=TIME, note=text(), tags=array(text()), hold=ref("Hold"), topics_count=number(), partitions_count=number(),
    messages_count=number(), source_bytes=number(), kept_by=RULES)
POINT_ALWAYS = "id policy cluster cluster_id vault state captured_at tags topics_count partitions_count messages_count source_bytes"
POINT_LINE = answer(POINT_ALWAYS, **POINT_LINE_OF)
GAP = answer("start_offset end_offset reason", start_offset=number(), end_offset=number(), reason=GAP_REASON)
POINT_PARTITION = answer(
    "partition start_offset end_offset status messages_count source_bytes holes_count gaps", partition=PARTITION, start_offset=number(),
    end_offset=number(), last_stable_offset=number(), high_watermark=number(), status=word("whole", "failed", "not-reached"),
    messages_count=number(), source_bytes=number(), holes_count=number(), holes_class=word("transactions", "compaction"),
    earliest_record_at=TIME, latest_record_at=TIME, gaps=array(ref("Gap")), gaps_before=array(ref("Gap")))
POINT = answer(
    POINT_ALWAYS + " topics verified", **POINT_LINE_OF, earliest_record_at=TIME, latest_record_at=TIME,
    verified=answer("result packs_count unverified_packs_count", result=word("ok", "damaged", "partly", "never"), at=TIME,
                    packs_count=number("In which the point's records lie; points share them."), unverified_packs_count=number()),
    topics=array(answer("name incarnation partitions", name=text(), incarnation=number(), topic_id=text(), replication_factor=number(),
                        partitions=array(ref("PointPartition")), config=mapping(text()))),
    consumer_groups=array(answer("group offsets", group=text(), offsets=array(
        answer("topic partition offset", topic=text(), partition=PARTITION, offset=number(), metadata=text())))))

CUT = {"type": "object", "additionalProperties": number(), "description": "Lengths of what was cut."}
BYTES = either(text(), NULL)
PEEKED = answer(
    "recovery_point partition start_offset end_offset items", recovery_point=POINT_ID, topic=text(), partition=PARTITION,
    start_offset=number(), end_offset=number(), next_offset=number(),
    items=array(answer(
        "topic partition offset", topic=text(), partition=PARTITION, offset=number(),
        timestamp_ms=either({"type": "integer", "format": "int64"}, NULL), timestamp_type=either(text(), NULL), key=BYTES, key_base64=text(),
        value=BYTES, value_base64=text(), headers_count=number(), truncated=CUT, leader_epoch=number(),
        headers=array(answer("", name=text(), name_base64=text(), value=BYTES, value_base64=text(), truncated=CUT)))))

PLAN = answer(
    "plan_digest recovery_point resolved_at source counts_exact topics messages_count write_bytes warnings blocking",
    plan_digest=DIGEST, recovery_point=POINT_ID, resolved_at=TIME,
    source={"type": "object", "required": ["recovery_points"], "properties": {
        "recovery_points": array(answer("id policy captured_at", id=POINT_ID, policy=text(), captured_at=TIME)),
        "at": TIME, "as_of": word("record_time", "capture_time"), "from": TIME}},
    counts_exact=flag(),
    topics=array(answer("source target exists partitions_count messages_count source_bytes counts_exact gap_offsets actions",
                        source=text(), target=text(), exists=flag(), partitions_count=number(), messages_count=number(),
                        source_bytes=number(), counts_exact=flag(), gap_offsets=number(),
                        actions=array(word("delete", "purge", "create", "append", "produce", "hold-retention")))),
    messages_count=number(), write_bytes=number(),
    groups=array(answer("group target offsets_count exists", group=text(), target=text(), offsets_count=number(), exists=flag())),
    warnings=array(ref("Note")), blocking=array(ref("Note")))

RETENTION_PLAN = answer(
    "vault plan_digest remove_count keep_count freed_bytes points keep_data_changes_count space warnings", vault=text(),
    plan_digest=DIGEST, remove_count=number(), keep_count=number(), freed_bytes=number(),
    points=array(answer("recovery_point captured_at complete action kept_by", recovery_point=POINT_ID, policy=text(), cluster=text(),
                        captured_at=TIME, complete=flag(), action=word("keep", "remove"), kept_by=RULES,
                        removed_by=word("max_age", "no_rule_keeps_it"))),
    keep_data_changes_count=number(),
    space=answer("", **{name: number() for name in (
        "packs_to_drop_count", "drop_bytes", "packs_in_grace_count", "in_grace_bytes", "packs_to_sweep_count", "sweep_bytes",
        "orphans_count", "orphans_bytes", "packs_to_merge_count", "merge_bytes")}),
    warnings=array(ref("Note")))

VAULT = answer(
    "name type where", name=NAME, type=word("disk", "s3"), where=text(), up=flag(), probed_at=TIME, detail=text(), vault_id=HEX32,
    key_fingerprint=text(), key_ring=word("full", "writer"), head=text(), recovery_points_count=number(), packs_count=number(),
    stored_bytes=number(), source_bytes=number(), reduction_ratio=real(), findings_count=number(), scrubbed_at=TIME,
    capacity_bytes=number(), free_bytes=number(), read_only=flag("Another daemon writes it; this one does not."))

HOOK = answer(
    "name format signed on policies queued_count", name=NAME, format=word("json", "healthchecks"), signed=flag(), on=array(text()),
    policies=array(text()), queued_count=number(),
    last=answer("at type ok", at=TIME, type=text(), status=number(), ok=flag(), error=text()))

MAP_ROW = answer(
    "topic partition first_offset last_offset target target_partition target_first_offset target_last_offset messages_count",
    topic=text(), partition=PARTITION, first_offset=number(), last_offset=number(), target=text(), target_partition=PARTITION,
    target_first_offset=number(), target_last_offset=number(), messages_count=number())


def page(row):
    return answer("items", items=array(ref(row)), next_cursor=text(), since=TIME, until=TIME, at=TIME,
                  total_count=number("With count=true: on all pages."))


SCHEMAS = {
    "Problem": PROBLEM, "Note": NOTE, "Hold": HOLD, "Progress": PROGRESS, "JobError": JOB_ERROR, "BackupResult": BACKUP_RESULT,
    "Held": HELD, "RestoredTopic": RESTORED_TOPIC, "RestoredGroup": RESTORED_GROUP, "RestoreResult": RESTORE_RESULT,
    "VerifyResult": VERIFY_RESULT, "RetentionResult": RETENTION_RESULT, "Job": JOB, "Jobs": page("Job"), "Paused": PAUSED,
    "Policy": POLICY, "Policies": page("Policy"),
    "PlannedRuns": answer("policy items", policy=NAME, schedule=text(), timezone=text(), paused=ref("Paused"),
                          items=array(answer("at local", at=TIME, local=text("By the clock of the policy's time zone.")))),
    "StatusRow": STATUS_ROW, "Status": STATUS, "PointLine": POINT_LINE, "Points": page("PointLine"), "Gap": GAP,
    "PointPartition": POINT_PARTITION, "Point": POINT, "Messages": PEEKED, "RestorePlan": PLAN, "RetentionPlan": RETENTION_PLAN,
    "Vault": VAULT, "Vaults": answer("items", items=array(ref("Vault"))), "Hook": HOOK,
    "ServerSentEvent": answer("", id=text("Of what is kept; counts up."), event=text(), data=text("JSON."), retry=number()),
    "Timeline": answer(
        "topic since until has_older intervals points", topic=text(), since=TIME, until=TIME,
        has_older=flag("There are more points than are looked at, the newest 500 of a vault."),
        intervals=array(answer("from to state", **{"from": TIME}, to=TIME, state=word("covered", "gap", "exposed"), lost_offsets=number())),
        points=array(answer("id policy vault at state new_messages_count new_source_bytes", id=POINT_ID, policy=text(), vault=text(),
                            at=TIME, state=word("complete", "partial", "damaged"), lost_offsets=number(),
                            new_messages_count=number("Of the topic, that the policy's point before it has not."),
                            new_source_bytes=number())),
        series=answer("step_seconds at points_count new_messages_count new_source_bytes lost_offsets", step_seconds=number("As asked for, or a multiple."), at=array(TIME, "Begins of the steps."), points_count=array(number()),
                      new_messages_count=array(number()), new_source_bytes=array(number()), lost_offsets=array(number()))),
    "Cluster": CLUSTER, "Clusters": answer("items", items=array(ref("Cluster"))), "ClusterTopic": CLUSTER_TOPIC,
    "ClusterTopics": page("ClusterTopic"),
    "Hooks": answer("items", items=array(ref("Hook"))), "HookTest": answer("hook status", hook=NAME, status=number()),
    "OffsetMapRow": MAP_ROW, "OffsetMap": answer("items", items=array(ref("OffsetMapRow")), next_cursor=text()),
    "Holds": answer("restore items", restore=JOB_ID, items=array(ref("Held"))),
    "Reloaded": answer("changed changes", changed=flag(), changes=array(
        answer("change path", change=word("added", "removed", "changed"), path=text(), name=text()))),
    "Checked": answer("valid findings", valid=flag(), findings=array(
        answer("severity detail", severity=word("error", "warning"), line=number(), column=number(), detail=text()))),
    "LogLevel": answer("level", level=word("error", "warning", "info", "debug"), until=TIME),
    "Index": answer("name api version links", name=text(), api=text(), version=text(), links=mapping(text())),
    "State": answer("status", status=word("live", "ready"), checks=array(
        answer("name ok", name=word("configuration", "catalog", "vaults"), ok=flag(), detail=text()))),
}

TAGS = array(text(least=1, most=128, pattern="^(?!tidemark:)"), "Of the recovery point; those that begin with tidemark: are the daemon's.", maxItems=64, uniqueItems=True)
HOLD_BODY = body(about="Retention and deletion leave the point alone.",
                 until=either(ref("TimeToCome"), NULL),
                 reason=either(text(most=1024), NULL))
PATTERNS = array(ref("TopicPattern"), uniqueItems=True)
GROUP_PATTERNS = array(ref("GroupPattern"), uniqueItems=True)
NAMES = mapping(text(least=1))
AFFIX = text("Around the names of topics.", most=249, pattern="^[A-Za-z0-9._-]*$")
RENAMES = mapping(text("A topic.", least=1, most=249, pattern="^[A-Za-z0-9._-]+$"))
WINDOW_TIMES = body("topic", topic=TOPIC, partition=PARTITION, **{"from": WHEN, "to": WHEN})
WINDOW_OFFSETS = body("topic partition from_offset", topic=TOPIC, partition=PARTITION, from_offset=number("", 0, I64 - 1),
                      to_offset=number("Behind the last.", 1))

SOURCE = body(recovery_point=POINT_WORD, policy=POLICY_NAME, cluster=CLUSTER_NAME, at=WHEN, as_of=word("record_time", "capture_time")) | {
    "dependentRequired": {"as_of": ["at"]},
    "anyOf": [{"properties": {"recovery_point": False}}, {"properties": {"as_of": {"const": "record_time"}}}],
    "oneOf": [{"required": ["policy"], "properties": {"cluster": False, "recovery_point": {"const": "latest"}}},
              {"required": ["cluster"], "properties": {"policy": False, "recovery_point": {"const": "latest"}}},
              {"required": ["recovery_point"], "properties": {
                  "policy": False, "cluster": False, "recovery_point": {"pattern": "^rp_"}}}]}
GROUPS = body(mode=word("none", "translate", "report", default="none"), groups=GROUP_PATTERNS, rename=NAMES) | {
    "anyOf": [{"required": ["mode"], "properties": {"mode": {"enum": ["translate", "report"]}}},
              {"properties": {"groups": False, "rename": False}}]}
PARTITION_MAP = mapping(number("", 0, 99999), minProperties=1, propertyNames={"pattern": "^(0|[1-9][0-9]{0,4})$"})
SPREAD = {"anyOf": [{"properties": {"partition_count": False}},
                    {"required": ["partitions"], "properties": {"partitions": {"not": {"const": "same"}}}}]}
HELD_FOR = {"anyOf": [{"properties": {"retention_hold_for": False}}, {"properties": {"retention": {"enum": ["hold", "hold_all"]}}}]}

BODIES = {
    "PolicyName": NAME, "VaultName": NAME, "ClusterName": NAME, "HookName": NAME, "When": WHEN_TEXT, "TimeToCome": TO_COME,
    "TopicPattern": text("A name, a glob, or /a regular expression/.", least=1, most=512),
    "GroupPattern": text("A name, a glob, or /a regular expression/.", least=1, most=512),
    "IfMatch": text("The point's ETag, or *.", least=1, pattern='^(\\*|"[0-9a-f]{32}")$'),
    "Empty": body(),
    "BackupRequest": body(
        "policy", policy=POLICY_NAME, topics=array(TOPIC, "A part of the policy's.", minItems=1, uniqueItems=True), note=text(most=4096), tags=TAGS,
        hold=HOLD_BODY, if_running=word("conflict", "join", default="conflict"), outside_window=flag(default=False)),
    "RestoreRequest": {"allOf": [SPREAD, HELD_FOR]} | body(
        "source target", source=SOURCE,
        topics=body(include=PATTERNS, exclude=PATTERNS,
                    partitions=mapping(array(PARTITION, minItems=1, maxItems=10000))),
        target=body("cluster", cluster=CLUSTER_NAME, rename=RENAMES, prefix=AFFIX, suffix=AFFIX),
        create_topics=word("missing", "never", "recreate", default="missing"),
        existing=word("fail", "empty_only", "append", "purge", default="fail"),
        retention=word("hold", "original", "hold_all", default="hold"), retention_hold_for=DURATION,
        topic_configs=word("original", "broker", default="original"), on_gap=word("fail", "continue", default="fail"),
        replication_factor=number("", 1, 32767), plan_digest=DIGEST,
        consumer_groups=GROUPS,
        **{"from": WHEN}, windows=array(either(WINDOW_OFFSETS, WINDOW_TIMES), maxItems=1000),
        skip=array(text("TOPIC/PARTITION@OFFSET or TOPIC/PARTITION@FIRST-LAST", pattern="^[A-Za-z0-9._-]{1,249}/[0-9]{1,9}@[0-9]{1,18}(-[0-9]{1,18})?$"),
                   maxItems=10000, uniqueItems=True),
        subset=body("newest", newest=number("", 1)),
        partitions=either(word("same", "hash"), PARTITION_MAP),
        partition_count=number("", 1, 100000), confirm=array(TOPIC, uniqueItems=True),
        headers=body(add_original_position=flag(default=False)), transactions=word("committed"), offsets=word("append"),
        timestamps=word("preserve"),
        limits=body(write_bytes_per_second=number("", 1024, 2**50), max_in_flight_partitions=number("", 1, 1000))),
    "DrillRequest": body(
        "policy", policy=POLICY_NAME, recovery_point=POINT_WORD, target=body(cluster=CLUSTER_NAME, prefix=AFFIX), max_bytes=number(),
        cleanup=flag(), allow_source=flag()),
    "RetentionRequest": body(
        "vault", vault=VAULT_NAME, policies=array(POLICY_NAME, minItems=1, uniqueItems=True), merge=flag(default=True),
        plan_digest=DIGEST),
    "VerificationRequest": {"allOf": [
        {"anyOf": [{"properties": {"sample_ratio": False}}, {"required": ["depth"], "properties": {"depth": {"const": "sample"}}}]},
        {"anyOf": [{"properties": {"recovery_point": False}}, {"required": ["depth"], "properties": {"depth": {"enum": ["sample", "full"]}}}]},
    ]} | body(
        "vault", vault=VAULT_NAME, depth=word("catalog", "scrub", "sample", "full", default="catalog"),
        sample_ratio={"type": "number", "exclusiveMinimum": 0, "maximum": 1}, recovery_point=POINT_ID, repair=flag(default=False)),
    "LogLevelRequest": body("level", level=word("error", "warning", "info", "debug"), **{"for": DURATION}),
    "YamlText": text("A configuration."),
    "PauseRequest": body(until=either(ref("TimeToCome"), NULL), reason=text(most=1024)),
    "PointPatch": {"minProperties": 1} | body(
        note=either(text(most=4096), NULL), tags=either(TAGS, NULL), hold=either(HOLD_BODY, NULL)),
}

LINK = {"Link": text("The next page, where there is one.")}
STARTED = {"Location": text("The job."), "Retry-After": {"type": "integer"}}
KEY = {"Idempotency-Key": text("Sent again, the request is answered with the job that it made.", least=1, most=255, pattern="^[!-~]+$")}


def json_of(name, about="Done", **more):
    return {"about": about, "content": {"application/json": {"schema": ref(name)}}} | more


def get(tag, summary, name, **more):
    return {"tag": tag, "summary": summary, "answers": {200: json_of(name)}, "problems": [502]} | more


def listed(tag, summary, name, **more):
    return get(tag, summary, name, **more) | {"answers": {200: json_of(name, headers=LINK)}}


def job(tag, summary, request, problems=(), **more):
    takes = {"body": request} if request else {}
    return takes | {"tag": tag, "summary": summary, "headers": KEY, "problems": [409, 502, 507, *problems],
            "answers": {200: json_of("Job", "It has ended, or was there already"),
                        202: json_of("Job", "It is accepted", headers=STARTED)}} | more


def stream(tag, summary, **more):
    return {"tag": tag, "summary": summary, "headers": {"Last-Event-ID": text("Go on behind it.")}, "answers": {
        200: {"about": "Server-sent events", "content": {"text/event-stream": {"schema": ref("ServerSentEvent")}}}}} | more


REPORT = {"about": "The job, or its report as a page where Accept names text/html first",
          "content": {"application/json": {"schema": ref("Job")}, "text/html": {"schema": text()}}}
OPTIONAL = {"body": "Empty", "body_required": False}

OPERATIONS = {
    "tm_meta_index": get("meta", "Version and links", "Index"),
    "tm_meta_openapi": {"tag": "meta", "summary": "This document", "answers": {
        200: {"about": "OpenAPI 3.1", "content": {"application/json": {"schema": {"type": "object"}}}}}},
    "tm_meta_metrics": {"tag": "meta", "summary": "Prometheus text, or OpenMetrics where Accept names it", "answers": {
        200: {"about": "Metrics", "content": {"text/plain": {"schema": text()}, "application/openmetrics-text": {"schema": text()}}}}},
    "tm_problem_page": {"tag": "meta", "summary": "What a problem means, and what to do", "answers": {
        200: {"about": "A page", "content": {"text/html": {"schema": text()}}}}},
    "tm_ui_page": {"tag": "meta", "summary": "The dashboard", "answers": {
        200: {"about": "A page", "content": {"text/html": {"schema": text()}}}}},
    "tm_ui_file_get": {"tag": "meta", "summary": "A file of the dashboard", "answers": {
        200: {"about": "The file", "content": {kind: {"schema": text()} for kind in (
            "text/html", "text/javascript", "text/css", "image/svg+xml")}}}},
    "tm_meta_livez": get("meta", "Does the process turn?", "State"),
    "tm_meta_readyz": get("meta", "Does it take work?", "State", query={"verbose": word("0", "1", about="List the checks.")}),
    "tm_config_get": {"tag": "meta", "summary": "The configuration in force, secrets as [redacted]", "answers": {
        200: {"about": "All options, in the form of the file", "content": {"application/json": {"schema": {"type": "object"}}}}}},
    "tm_config_reload": {"tag": "meta", "summary": "Read the configuration again", "answers": {200: json_of("Reloaded")}} | OPTIONAL,
    "tm_config_check": {"tag": "meta", "summary": "Check a configuration", "answers": {200: json_of("Checked")}, "body": "YamlText",
                        "body_required": False, "types": ["application/yaml"]},
    "tm_config_log_level": {"tag": "meta", "summary": "Another level of the log, for a while", "answers": {200: json_of("LogLevel")},
                            "body": "LogLevelRequest"},
    "tm_status_get": listed("policies", "What would be lost now, the worst first; all of it unless limit is given", "Status",
                             query={"topic": ref("TopicPattern")}),
    "tm_clusters_list": get("clusters", "All clusters, as they were last seen", "Clusters"),
    "tm_clusters_get": get("clusters", "One cluster, asked now", "Cluster"),
    "tm_clusters_topics": get("clusters", "Its topics, asked now, and who backs them up", "ClusterTopics",
                              query={"cursor": text("next_cursor of the page before.")}),
    "tm_policies_list": listed("policies", "All policies; all of them unless limit is given", "Policies", query={"state": STATES}),
    "tm_policies_get": get("policies", "One policy", "Policy", not_modified=True, headers={"If-None-Match": text("An ETag, for 304.")}) | {
        "answers": {200: json_of("Policy", headers={"ETag": text()})}},
    "tm_policies_schedule": get("policies", "Its next planned runs", "PlannedRuns",
                                query={"count": number("How many.", 1, 500, default=10)}),
    "tm_policies_pause": get("policies", "Planned runs wait", "Policy", body="PauseRequest", body_required=False),
    "tm_policies_resume": get("policies", "Planned runs go on", "Policy", **OPTIONAL),
    "tm_backups_start": job("backups", "Back a policy up now", "BackupRequest"),
    "tm_backups_list": listed("backups", "Backups, the newest first", "Jobs"),
    "tm_points_list": listed("recovery points", "Recovery points, the newest first", "Points",
                             query={"state": word("complete", "partial", "damaged"), "topic": ref("TopicPattern")}),
    "tm_points_get": get("recovery points", "One recovery point", "Point", not_modified=True,
                         headers={"If-None-Match": text("An ETag, for 304.")},
                         query={"policy": text("With the id latest: of that policy.", 1)}) | {
        "answers": {200: json_of("Point", headers={"ETag": text()})}},
    "tm_points_patch": {"tag": "recovery points", "summary": "Change note, tags and hold", "body": "PointPatch",
                        "types": ["application/merge-patch+json", "application/json"], "problems": [409, 412, 428, 502],
                        "headers": {"If-Match": ref("IfMatch")}, "required_headers": ("If-Match",),
                        "answers": {200: json_of("Point", headers={"ETag": text()})}},
    "tm_points_delete": job("recovery points", "Remove a recovery point", None),
    "tm_points_peek": get("recovery points", "Records of it", "Messages", required=("topic", "partition"),
                          query={"topic": TOPIC, "limit": number("Records.", 1, 100, default=10),
                                 "policy": text("With the id latest: of that policy.", 1)}),
    "tm_timeline_get": get("recovery points", "Of what time a topic is stored", "Timeline", required=("topic",),
                           query={"topic": TOPIC, "cluster": text("Of that cluster.", 1)}),
    "tm_restores_plan": get("restores", "What a restore would do", "RestorePlan", body="RestoreRequest", problems=[409, 412, 502]),
    "tm_restores_start": job("restores", "Restore", "RestoreRequest", [412]),
    "tm_restores_list": listed("restores", "Restores, the newest first", "Jobs"),
    "tm_restores_get": {"tag": "restores", "summary": "A restore, or its report", "answers": {200: REPORT}},
    "tm_restores_offset_map": {"tag": "restores", "summary": "Where its records went", "answers": {
        200: {"about": "Rows, as JSON or CSV", "content": {"application/json": {"schema": ref("OffsetMap")}, "text/csv": {"schema": text()}}}},
        "query": {"limit": number("Rows.", 1, 10000, default=1000), "cursor": number("next_cursor of the page before.")}},
    "tm_restores_holds": get("restores", "What it holds at its target", "Holds"),
    "tm_restores_put_back": get("restores", "Put that back now", "Holds", problems=[409, 502], **OPTIONAL),
    "tm_drills_start": job("drills", "Try a restore", "DrillRequest"),
    "tm_drills_list": listed("drills", "Drills, the newest first", "Jobs"),
    "tm_drills_get": {"tag": "drills", "summary": "A drill, or its report", "answers": {200: REPORT}},
    "tm_jobs_list": listed("jobs", "Jobs, the newest first", "Jobs"),
    "tm_jobs_get": get("jobs", "One job", "Job"),
    "tm_streams_job": stream("jobs", "What becomes of a job, as it happens"),
    "tm_streams_log": {"tag": "jobs", "summary": "Log lines of a job since the daemon started", "answers": {
        200: {"about": "Lines as the daemon's log has them", "content": {"text/plain": {"schema": text()}}}},
        "query": {"level": word("error", "warning", "info", "debug", about="Those of that level and what is worse."),
                  "follow": word("true", "false", about="Go on until the job has ended.")}},
    "tm_streams_events": stream("meta", "What happens, as hooks are told of it", query={"types": text("Those alone: a,b.", 1)}),
    "tm_jobs_cancel": {"tag": "jobs", "summary": "Stop it at its next safe point", "problems": [409], "answers": {202: json_of("Job")}} | OPTIONAL,
    "tm_verifications_start": job("vaults", "Verify a vault", "VerificationRequest"),
    "tm_vaults_import": job("vaults", "Make its catalog anew", "Empty", body_required=False),
    "tm_retention_plan_route": get("vaults", "What retention would remove and free", "RetentionPlan", body="RetentionRequest",
                                   problems=[409, 502]),
    "tm_retention_run_route": job("vaults", "Remove and free it", "RetentionRequest", [412]),
    "tm_vaults_list": get("vaults", "All vaults", "Vaults"),
    "tm_vaults_get": get("vaults", "One vault", "Vault"),
    "tm_vaults_probe": get("vaults", "Does it answer?", "Vault", problems=[502], **OPTIONAL),
    "tm_hooks_list": get("hooks", "All hooks", "Hooks"),
    "tm_hooks_test": get("hooks", "Send a test", "HookTest", problems=[502], **OPTIONAL),
}
