// SPDX-License-Identifier: Apache-2.0
// Elements, words for numbers, and the few drawings of the dashboard. Text is always set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

export function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

// Words ------------------------------------------------------------------------------------------

export function duration(seconds) {
  if (seconds == null) return "";
  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  for (const [unit, size] of units) {
    if (seconds >= 2 * size) return `${Math.round(seconds / size)} ${unit}`;
  }
  return seconds >= 10 || Number.isInteger(seconds) ? `${Math.round(seconds)} s` : `${seconds.toFixed(1)} s`;
}

export function bytes(count) {
  if (count == null) return "";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = count;
  let at = 0;
  while (value >= 1024 && at < units.length - 1) { value /= 1024; at++; }
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

export function number(count) {
  return count == null ? "" : count.toLocaleString("en");
}

// A moment as people say it; the exact time stands in its title.
export function moment(time, now = Date.now()) {
  if (!time) return "";
  const seconds = (now - Date.parse(time)) / 1000;
  const text = seconds >= 0 ? `${duration(Math.floor(seconds))} ago` : `in ${duration(Math.ceil(-seconds))}`;
  return el("time", { datetime: time, title: time }, text);
}

// Drawings ---------------------------------------------------------------------------------------

// How much of an objective is used up; what is past it is red.
export function objective(value, limit) {
  const part = limit > 0 ? Math.min(value / limit, 1) : 0;
  const shown = svg("svg", { viewBox: "0 0 100 6", height: 6, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "track", width: 100, height: 6 }),
    svg("rect", { class: value > limit ? "bar bad" : "bar", width: 100 * part, height: 6 }));
  return el("div", { class: "bar-cell" }, shown);
}

// One row of the timeline. `pick` is called with a point, or with a time that was clicked at.
export function lane(timeline, pick) {
  const since = Date.parse(timeline.since);
  const span = Math.max(Date.parse(timeline.until) - since, 1);
  const x = (time) => 1000 * Math.min(Math.max((Date.parse(time) - since) / span, 0), 1);
  const picture = svg("svg", { viewBox: "0 0 1000 22", height: 22, preserveAspectRatio: "none", role: "group",
    "aria-label": `Timeline of ${timeline.topic}` }, svg("rect", { class: "track", y: 4, width: 1000, height: 14 }));
  for (const part of timeline.intervals) {
    const title = `${part.state}: ${part.from} to ${part.to}` + (part.lost_offsets ? `, ${number(part.lost_offsets)} offsets lost` : "");
    picture.append(svg("rect", { class: part.state, x: x(part.from), y: 4, width: Math.max(x(part.to) - x(part.from), 1), height: 14,
      onclick: (event) => {
        const box = picture.getBoundingClientRect();
        pick(null, new Date(since + span * (event.clientX - box.left) / box.width).toISOString());
      } }, svg("title", {}, title)));
  }
  for (const point of timeline.points) {
    const choose = () => pick(point, null);
    picture.append(svg("g", { class: "tick", tabindex: 0, role: "button", "aria-label": `${point.id} at ${point.at}`, onclick: choose,
      onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); } } },
    svg("title", {}, `${point.id}, ${point.state}, ${point.at}`),
    svg("line", { x1: x(point.at), x2: x(point.at), y1: 0, y2: 22, "vector-effect": "non-scaling-stroke" })));
  }
  return picture;
}

// Columns, the newest at the right: rows of {value, label, bad}.
export function columns(rows, words) {
  if (rows.length === 0) return el("p", { class: "faint" }, "nothing yet");
  const most = Math.max(...rows.map((row) => row.value), 1e-9);
  const width = Math.min(600 / rows.length, 60); // few of them stay columns
  const picture = svg("svg", { viewBox: "0 0 600 110", role: "img", "aria-label": `From ${rows[0].label} to ${rows.at(-1).label}, at most ${words(most)}` });
  rows.forEach((row, at) => {
    const height = 84 * row.value / most;
    picture.append(svg("rect", { class: row.bad ? "bar bad" : "bar", x: at * width + width * .1, y: 96 - height, width: width * .8,
      height: Math.max(height, .5) }, svg("title", {}, `${row.label}: ${words(row.value)}`)));
  });
  picture.append(svg("text", { x: 0, y: 10 }, words(most)), svg("text", { x: 0, y: 108 }, rows[0].label),
    svg("text", { x: 600, y: 108, "text-anchor": "end" }, rows.at(-1).label));
  return picture;
}
