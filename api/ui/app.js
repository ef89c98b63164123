// SPDX-License-Identifier: Apache-2.0
// The dashboard: all it knows it asks the API for, with the token that it is given.

import { bytes, columns, duration, el, lane, moment, number, objective } from "./draw.js";

const ROWS = 200; // topics listed
const LANES = 12; // topics in the timeline, the worst first
const FOLLOWED = 4; // jobs whose events are listened to
const OFTEN_MS = 5000;
const SELDOM_MS = 30000;
const TOKEN = "tidemark-token";
const BAD = ["breached", "losing", "gap", "never", "failed"];
const WARN = ["stale", "late", "partial", "interrupted"];
const ENDED = ["succeeded", "partial", "failed", "cancelled"];

const $ = (id) => document.getElementById(id);
const followed = new Map(); // job id: how to stop listening
let rows = []; // of status
let drills = new Map(); // policy: its newest drill that passed

// Asking -----------------------------------------------------------------------------------------

class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `the daemon answered ${status}`);
    this.status = status;
    this.body = body;
  }
}

function options(method, body, signal) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
}

async function ask(path, method = "GET", body = undefined) {
  const answer = await fetch(path, options(method, body));
  if (answer.status === 401) signOut("The token is not valid here.");
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  return (answer.headers.get("Content-Type") || "").includes("json") ? answer.json() : answer.text();
}

// A part of the page that cannot be filled says why, and the others go on.
async function part(fillIn) {
  try {
    await fillIn();
    return true;
  } catch (error) {
    $("trouble").textContent = error.status === 403 ? "" : `${error.message}`;
    return false;
  }
}

// Signing in -------------------------------------------------------------------------------------

function signOut(why = "") {
  const had = sessionStorage.getItem(TOKEN) !== null;
  sessionStorage.removeItem(TOKEN);
  followed.forEach((stop) => stop());
  $("content").hidden = true;
  $("sign-out").hidden = true;
  $("sign-in").hidden = false;
  $("sign-in-error").textContent = had ? why : "";
  $("token").focus();
}

function signedIn() {
  $("sign-in").hidden = true;
  $("content").hidden = false;
  $("sign-out").hidden = sessionStorage.getItem(TOKEN) === null;
}

// Verdict and topics -----------------------------------------------------------------------------

function colour(word) {
  return BAD.includes(word) ? "bad" : WARN.includes(word) ? "warn" : ["ok", "succeeded", "passed"].includes(word) ? "good" : "faint";
}

function showVerdict(status) {
  const count = status.total_count;
  const worst = status.worst;
  const node = $("verdict");
  node.className = status.breached_count > 0 ? "bad" : worst && worst.state !== "ok" ? "warn" : "good";
  if (count === 0) {
    node.textContent = "No topic is backed up yet.";
  } else if (status.breached_count > 0) {
    node.textContent = `${status.breached_count} of ${number(count)} topics ${status.breached_count === 1 ? "is" : "are"} past the objective; worst `
      + `${worst.topic || worst.policy}, ${duration(worst.exposure_seconds)} of ${duration(worst.rpo_seconds)}.`;
  } else if (worst && worst.state !== "ok") {
    node.textContent = `No objective is breached; worst is ${worst.topic || worst.policy}: ${worst.state}.`;
  } else {
    node.textContent = `All ${number(count)} topics are as they should be.`;
  }
}

function exposure(row) {
  if (row.exposure_seconds == null) return el("td", { class: "faint" }, "not known");
  const text = row.rpo_seconds ? `${duration(row.exposure_seconds)} of ${duration(row.rpo_seconds)}` : duration(row.exposure_seconds);
  return el("td", {}, text, row.rpo_seconds ? objective(row.exposure_seconds, row.rpo_seconds) : null);
}

function topicRow(row) {
  const drill = drills.get(row.policy);
  return el("tr", {},
    el("td", { class: `state ${colour(row.state)}` }, row.state),
    el("td", {}, row.topic || el("span", { class: "faint" }, "all of it")),
    el("td", {}, row.policy, el("span", { class: "faint" }, ` ${row.cluster}`)),
    exposure(row),
    el("td", {}, moment(row.newest_point_at)), el("td", {}, moment(row.oldest_point_at)),
    el("td", { class: colour(row.last_result) }, row.last_result || "", " ", row.last_error ? button("why", () => say("Why it failed", row.last_error.detail)) : null),
    el("td", {}, moment(row.next_run_at)),
    el("td", {}, duration(row.retention_headroom_seconds)),
    el("td", {}, drill ? duration(drill.result.duration_seconds) : ""));
}

function showTopics() {
  const wanted = $("filter").value.trim().toLowerCase();
  const shown = rows.filter((row) => `${row.topic || ""} ${row.policy}`.toLowerCase().includes(wanted));
  $("topic-rows").replaceChildren(...shown.map(topicRow));
}

async function readStatus() {
  const status = await ask(`/v1/status?limit=${ROWS}&count=true`);
  rows = status.items;
  signedIn();
  showVerdict(status);
  showTopics();
  const more = status.total_count - rows.length;
  $("topic-more").textContent = more > 0 ? `The worst ${rows.length} are listed; ${number(more)} more are better than these.` : "";
}

// Timeline ---------------------------------------------------------------------------------------

function pick(point, time) {
  $("r-point").value = point ? point.id : "";
  $("r-at").value = point ? "" : time;
  if (point) $("r-policy").value = point.policy;
  $("plan").replaceChildren();
  $("restore").scrollIntoView();
  $("r-suffix").focus({ preventScroll: true });
}

function newBytes(timelines) {
  const days = new Map();
  for (const timeline of timelines) {
    for (const point of timeline.points) {
      const day = point.at.slice(0, 10);
      days.set(day, (days.get(day) || 0) + point.new_source_bytes);
    }
  }
  return [...days].sort().map(([label, value]) => ({ label, value }));
}

async function readTimeline() {
  const span = $("span").value;
  const topics = [...new Map(rows.filter((row) => row.topic).map((row) => [`${row.cluster} ${row.topic}`, row])).values()].slice(0, LANES);
  const timelines = await Promise.all(topics.map((row) =>
    ask(`/v1/timeline?topic=${encodeURIComponent(row.topic)}&cluster=${encodeURIComponent(row.cluster)}&since=-${span}`)));
  $("timeline-rows").replaceChildren(...timelines.map((timeline) =>
    el("div", { class: "lane" }, el("span", { title: timeline.topic }, timeline.topic), lane(timeline, pick))));
  $("plot-bytes").replaceChildren(columns(newBytes(timelines), bytes));
}

async function readRuns() {
  const list = await ask("/v1/backups?limit=60");
  const runs = list.items.filter((job) => job.finished_at && job.started_at).reverse();
  $("plot-runs").replaceChildren(columns(runs.map((job) => ({ label: job.started_at.slice(0, 19).replace("T", " "),
    value: (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000, bad: job.state !== "succeeded" })), duration));
}

// Jobs -------------------------------------------------------------------------------------------

function button(text, act, more = {}) {
  return el("button", { type: "button", class: "plain", onclick: act, ...more }, text);
}

function say(title, ...content) {
  $("dialog-title").textContent = title;
  $("dialog-body").replaceChildren(...content);
  $("dialog").showModal();
}

async function showLog(job) {
  await part(async () => say(`Log of ${job.id}`, el("pre", {}, await ask(`/v1/jobs/${job.id}/log`) || "no lines since the daemon started")));
}

async function cancel(job) {
  if (!window.confirm(`Stop ${job.kind} ${job.id} at its next safe point?`)) return;
  await part(() => ask(`/v1/jobs/${job.id}/cancel`, "POST"));
  readJobs();
}

function took(job) {
  return job.started_at ? duration(((job.finished_at ? Date.parse(job.finished_at) : Date.now()) - Date.parse(job.started_at)) / 1000) : "";
}

function progressText(progress) {
  if (!progress) return "";
  const eta = progress.eta_seconds ? `, ${duration(progress.eta_seconds)} left` : "";
  return `${progress.phase}, ${number(progress.done_messages)} messages${eta}`;
}

function jobRow(job) {
  const running = !ENDED.includes(job.state);
  const ratio = job.progress ? job.progress.done_ratio : undefined;
  return el("tr", { id: job.id },
    el("td", {}, job.kind), el("td", {}, job.policy || job.vault || ""),
    el("td", { class: `state ${colour(job.state)}` }, job.state),
    el("td", {}, running ? el("progress", { max: 1, value: ratio, "aria-label": `Progress of ${job.id}` }) : null,
      el("span", { class: "faint" }, running ? progressText(job.progress) : job.error ? job.error.detail : "")),
    el("td", {}, moment(job.started_at)), el("td", { class: "n" }, took(job)),
    el("td", {}, button("log", () => showLog(job)), " ", running ? button("cancel", () => cancel(job)) : null));
}

// Lines of an event stream; fetch, because EventSource sends no token.
async function listen(path, signal, tell) {
  const answer = await fetch(path, options("GET", undefined, signal));
  if (!answer.ok) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    text += read.value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const event = lines.find((line) => line.startsWith("event: "));
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (event && data) tell(event.slice(7), JSON.parse(data));
    }
  }
}

function followJob(job) {
  if (followed.has(job.id) || followed.size >= FOLLOWED) return;
  const stop = new AbortController();
  followed.set(job.id, () => stop.abort());
  listen(`/v1/jobs/${job.id}/events`, stop.signal, (event, data) => {
    const row = $(job.id);
    if (event === "progress" && row) row.replaceWith(jobRow({ ...job, state: "running", progress: data.progress || data }));
  }).catch(() => {}).finally(() => {
    followed.delete(job.id);
    if (!stop.signal.aborted) { readJobs(); part(readStatus); }
  });
}

async function readJobs() {
  await part(async () => {
    const list = await ask("/v1/jobs?limit=12");
    $("job-rows").replaceChildren(...list.items.map(jobRow));
    list.items.filter((job) => !ENDED.includes(job.state)).forEach(followJob);
  });
}

// Restore ----------------------------------------------------------------------------------------

function restoreRequest() {
  const source = $("r-point").value.trim() ? { recovery_point: $("r-point").value.trim() } : { policy: $("r-policy").value };
  if ($("r-at").value.trim() && source.policy) source.at = $("r-at").value.trim();
  const request = { source, target: { cluster: $("r-cluster").value, suffix: $("r-suffix").value.trim() } };
  const topics = $("r-topics").value.split(",").map((name) => name.trim()).filter(Boolean);
  if (topics.length > 0) request.topics = { include: topics };
  return request;
}

function notes(title, list, className) {
  if (list.length === 0) return null;
  return el("div", {}, el("h3", { class: className }, title), el("ul", {}, ...list.map((note) => el("li", {}, note.detail))));
}

function failures(error) {
  const fields = (error.body && error.body.errors) || [];
  return el("div", { class: "bad", role: "alert" }, el("p", {}, error.message),
    el("ul", {}, ...fields.map((field) => el("li", {}, `${field.pointer || field.parameter || ""} ${field.detail}`))));
}

async function runRestore(request, plan) {
  try {
    const job = await ask("/v1/restores", "POST", { ...request, plan_digest: plan.plan_digest });
    $("plan").replaceChildren(el("p", {}, "Started as ", el("a", { href: `#${job.id}` }, job.id), "."));
    await readJobs();
  } catch (error) {
    $("plan").append(failures(error));
  }
}

function confirmation(request, plan) {
  const target = request.target.cluster;
  const input = el("input", { id: "r-confirm", type: "text", autocomplete: "off", spellcheck: "false" });
  const run = el("button", { type: "submit", disabled: true }, "Restore");
  input.addEventListener("input", () => { run.disabled = input.value !== target; });
  return el("form", { onsubmit: (event) => { event.preventDefault(); run.disabled = true; runRestore(request, plan); } },
    el("label", { for: "r-confirm" }, `Type the target's name, ${target}, to do exactly that: `), input, " ", run);
}

function showPlan(request, plan) {
  const lines = plan.topics.map((topic) => el("tr", {}, el("td", {}, topic.source), el("td", {}, topic.target),
    el("td", { class: "n" }, number(topic.messages_count)), el("td", { class: "n" }, bytes(topic.source_bytes)),
    el("td", {}, topic.actions.join(", "))));
  $("plan").replaceChildren(el("h3", {}, `Plan, from ${plan.recovery_point}`),
    el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "From"), el("th", {}, "To"), el("th", { class: "n" }, "Messages"),
      el("th", { class: "n" }, "Size"), el("th", {}, "What is done"))),
      el("tbody", {}, ...lines)),
    ...[notes("Worth knowing", plan.warnings, "warn"), notes("In the way", plan.blocking, "bad"),
      plan.blocking.length === 0 ? confirmation(request, plan) : null].filter(Boolean));
}

async function planRestore(event) {
  event.preventDefault();
  const request = restoreRequest();
  $("plan").replaceChildren(el("p", { class: "faint" }, "Planning..."));
  try {
    showPlan(request, await ask("/v1/restores/plan", "POST", request));
  } catch (error) {
    $("plan").replaceChildren(failures(error));
  }
}

// What is read less often ------------------------------------------------------------------------

function choices(select, names) {
  const chosen = select.value;
  if ([...select.options].map((option) => option.value).join() === names.join()) return;
  select.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
  if (names.includes(chosen)) select.value = chosen;
}

async function readPolicies() {
  const list = await ask("/v1/policies?limit=500");
  choices($("r-policy"), list.items.map((policy) => policy.name));
}

async function readClusters() {
  const clusters = (await ask("/v1/clusters")).items;
  choices($("r-cluster"), clusters.map((cluster) => cluster.name));
  const found = await Promise.all(clusters.map(async (cluster) => {
    try {
      return { cluster, ...(await ask(`/v1/clusters/${encodeURIComponent(cluster.name)}/topics?protected=false&limit=50`)) };
    } catch (error) {
      return { cluster, items: [], why: error.message };
    }
  }));
  $("gap-rows").replaceChildren(...found.map(({ cluster, items, next_cursor: more, why }) => {
    const lines = items.filter((topic) => !topic.internal).map((topic) => `"${topic.name}"`);
    if (why) return el("p", { class: "warn" }, `${cluster.name}: ${why}`);
    if (lines.length === 0) return el("p", {}, `${cluster.name}: every topic is selected by a policy.`);
    return el("details", {}, el("summary", {}, `${cluster.name}: ${lines.length}${more ? " and more" : ""}`),
      el("p", {}, "Under ", el("code", {}, "topics:"), " of a policy of this cluster, this would cover them:"),
      el("pre", {}, `include: [${lines.join(", ")}]`));
  }));
}

function drillCard(job) {
  const result = job.result || {};
  const checks = (result.checks || []).map((check) => el("li", { class: colour(check.result) }, `${check.name}: ${check.result}`
    + (check.expected != null ? ` (${number(check.actual)} of ${number(check.expected)})` : "")));
  const verdict = result.result || job.state;
  return el("article", { class: "card" }, el("h3", {}, `${job.policy}, `, moment(job.started_at)),
    el("p", { class: `state ${colour(verdict)}` }, `${verdict}${result.duration_seconds != null ? ` in ${duration(result.duration_seconds)}` : ""}`),
    el("details", {}, el("summary", {}, "Checks"), el("ul", {}, ...checks)));
}

async function readDrills() {
  const list = (await ask("/v1/drills?limit=10")).items;
  drills = new Map(list.filter((job) => job.result && job.result.result === "passed").reverse().map((job) => [job.policy, job]));
  $("drill-rows").className = "cards";
  $("drill-rows").replaceChildren(...(list.length > 0 ? list.map(drillCard)
    : [el("p", { class: "faint" }, "None yet: a restore that was never tried may not work.")]));
}

function vaultCard(vault) {
  const facts = [["Where", vault.where], ["Points", number(vault.recovery_points_count)], ["Stored", bytes(vault.stored_bytes)],
    ["Of source data", vault.source_bytes != null ? `${bytes(vault.source_bytes)}, ${(vault.reduction_ratio || 0).toFixed(1)} times as much` : ""],
    ["Free", vault.free_bytes != null ? `${bytes(vault.free_bytes)} of ${bytes(vault.capacity_bytes)}` : "not known"],
    ["Findings", vault.findings_count ? number(vault.findings_count) : "none"], ["Key", vault.key_ring || ""]];
  const used = vault.capacity_bytes ? 1 - vault.free_bytes / vault.capacity_bytes : null;
  return el("article", { class: "card" },
    el("h3", {}, `${vault.name} `, el("span", { class: vault.up === false ? "bad" : "good" }, vault.up === false ? "is down" : vault.up ? "is up" : ""),
      vault.read_only ? el("span", { class: "faint" }, " read only") : null),
    vault.detail ? el("p", { class: "bad" }, vault.detail) : null,
    used != null ? el("meter", { min: 0, max: 1, high: .85, value: used, "aria-label": `Used of ${vault.name}` }) : null,
    el("dl", {}, ...facts.filter(([, value]) => value !== "").flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}

async function readVaults() {
  $("vault-rows").className = "cards";
  $("vault-rows").replaceChildren(...(await ask("/v1/vaults")).items.map(vaultCard));
}

// The rhythm -------------------------------------------------------------------------------------

async function often() {
  if (!document.hidden) {
    $("trouble").textContent = "";
    if (await part(readStatus)) await readJobs();
  }
}

async function seldom() {
  if (document.hidden || $("content").hidden) return;
  await Promise.all([readDrills, readPolicies, readClusters, readVaults, readTimeline, readRuns].map(part));
  showTopics();
}

async function start() {
  await often();
  await seldom();
}

$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, $("token").value.trim());
  $("token").value = "";
  start();
});
$("sign-out").addEventListener("click", () => signOut());
$("filter").addEventListener("input", showTopics);
$("span").addEventListener("change", () => part(readTimeline));
$("restore-form").addEventListener("submit", planRestore);
document.addEventListener("visibilitychange", start);
setInterval(often, OFTEN_MS);
setInterval(seldom, SELDOM_MS);
start();
