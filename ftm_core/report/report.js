// The report's behaviour: search, sort and drill-down of themes; the map; the timeline.
// All text is set as text, never as HTML.
"use strict";

const NAMED_THEMES = 20;
const NAMED_CHAINS = 10;
const HOVER_LINE = 60;
const COLOURS = [
  "#4c78a8", "#e07b12", "#54a24b", "#d6455d", "#7d6bc4",
  "#9c755f", "#d37fb5", "#2f9e9b", "#b39a00", "#6b8e23",
];
const SYMBOLS = ["circle", "diamond"];

async function unpacked(id) {
  const packed = document.getElementById(id).textContent;
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function number(value) {
  return value.toLocaleString("en-US");
}

// ---- Themes: a row each; what opens below one is made when it is first opened.

function themeDetail(theme, place) {
  const firms = theme.firms.map(([name, topics, sentences]) =>
    element("li", {}, `${name} (${topics} ${topics === 1 ? "topic" : "topics"}, ${sentences} sentences)`));
  const topics = theme.topics.map((topic) => element("details", {},
    element("summary", {}, element("strong", {}, topic.firm), ` ${topic.summary}`),
    element("p", { className: "muted" },
      `${topic.id}, call of ${topic.date}. ${topic.keywords.join(", ")}. ` +
      `${topic.sentences.length} of ${number(topic.n_sentences)} sentences, most representative first:`),
    element("ul", {}, ...topic.sentences.map(([speaker, text]) =>
      element("li", {}, element("span", { className: "muted" }, `${speaker}: `), text)))));
  const show = element("button", { type: "button", className: "show" }, "Show on the map");
  show.addEventListener("click", () => showOnMap(place));
  const cell = element("td", { colSpan: 4 }, show,
    element("h3", {}, counted("Firms", firms.length, theme.n_firms)),
    element("ul", { className: "firms" }, ...firms),
    element("h3", {}, counted("Topics", topics.length, theme.n_topics)), ...topics);
  return element("tr", { className: "detail" }, cell);
}

function counted(title, shown, all) {
  return shown < all ? `${title} (${number(shown)} of ${number(all)} shown)` : `${title} (${number(all)})`;
}

function setOpen(row, theme, place, open) {
  row.querySelector("button.open").setAttribute("aria-expanded", String(open));
  let detail = row.nextElementSibling;
  if (!detail || !detail.classList.contains("detail")) {
    if (!open) return;
    detail = themeDetail(theme, place);
    row.after(detail);
  }
  detail.hidden = !open;
}

// Groups are closed at first when there are more themes than a reader takes in at once.
const MOST_THEMES_OPEN = 30;

function wireThemes(themes) {
  const table = document.getElementById("theme-table");
  if (!table) return;
  const rows = themes.map((_, place) => document.getElementById(`theme-${place}`));
  const texts = themes.map((theme, place) => [
    rows[place].cells[0].textContent,
    ...theme.firms.map((firm) => firm[0]),
    ...theme.topics.map((topic) => `${topic.firm} ${topic.summary}`),
  ].join("\n").toLowerCase());
  rows.forEach((row, place) => {
    const button = row.querySelector("button.open");
    button.addEventListener("click", () =>
      setOpen(row, themes[place], place, button.getAttribute("aria-expanded") !== "true"));
  });
  const refresh = () => showThemes(table, rows, texts);
  for (const button of table.querySelectorAll("button.group")) {
    if (rows.length > MOST_THEMES_OPEN) button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      button.setAttribute("aria-expanded", String(button.getAttribute("aria-expanded") !== "true"));
      refresh();
    });
  }
  document.getElementById("theme-search").addEventListener("input", refresh);
  document.getElementById("theme-procedure")?.addEventListener("change", refresh);
  wireSort(table);
  refresh();
}

// A theme is seen when its kind is shown, the search finds it, and its group is open. A search
// looks into closed groups, too.
function showThemes(table, rows, texts) {
  const words = document.getElementById("theme-search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const procedure = document.getElementById("theme-procedure")?.checked ?? false;
  const allowed = (row) => procedure || !row.classList.contains("procedure");
  const found = new Set(rows.filter((row, place) =>
    allowed(row) && words.every((word) => texts[place].includes(word))));
  for (const group of table.tBodies) {
    const button = group.querySelector("button.group");
    const open = words.length > 0 || button.getAttribute("aria-expanded") === "true";
    const members = [...group.rows].filter((row) => row.classList.contains("theme"));
    const n = members.filter((row) => found.has(row)).length;
    group.hidden = n === 0;
    button.nextElementSibling.textContent = `${number(n)} ${n === 1 ? "theme" : "themes"}`;
    for (const row of members) {
      row.hidden = !open || !found.has(row);
      const detail = row.nextElementSibling;
      if (detail && detail.classList.contains("detail")) {
        detail.hidden = row.hidden || row.querySelector("button.open").getAttribute("aria-expanded") !== "true";
      }
    }
  }
  document.getElementById("theme-count").textContent =
    `${number(found.size)} of ${number(rows.filter(allowed).length)} themes`;
}

function wireSort(table) {
  const heads = [...table.tHead.querySelectorAll("th")];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const before = head.getAttribute("aria-sort");
    // Names begin at A, numbers at the largest.
    const ascending = before ? before === "descending" : column === 0;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const value = (row) => column === 0
      ? row.querySelector("button").textContent
      : Number(row.cells[column].dataset.value);
    const compare = (a, b) => column === 0 ? value(a).localeCompare(value(b)) : value(a) - value(b);
    const ordered = (list) => list.sort((a, b) => (ascending ? compare(a, b) : compare(b, a)));
    for (const group of table.tBodies) {
      for (const row of ordered([...group.rows].filter((one) => one.classList.contains("theme")))) {
        const detail = row.nextElementSibling;
        group.append(row);
        if (detail && detail.classList.contains("detail")) group.append(detail);
      }
    }
    table.append(...ordered([...table.tBodies].map((group) => group.rows[0])).map((row) => row.parentNode));
  }));
}

function openTheme(themes, place) {
  const row = document.getElementById(`theme-${place}`);
  const input = document.getElementById("theme-search");
  if (row.hidden) {
    input.value = "";
    row.parentNode.querySelector("button.group").setAttribute("aria-expanded", "true");
    const procedure = document.getElementById("theme-procedure");
    if (procedure && row.classList.contains("procedure")) procedure.checked = true;
    input.dispatchEvent(new Event("input"));
  }
  setOpen(row, themes[place], place, true);
  row.scrollIntoView({ block: "start" });
  row.querySelector("button.open").focus({ preventScroll: true });
}

function showOnMap(place) {
  const select = document.getElementById("map-theme");
  select.value = String(place);
  select.dispatchEvent(new Event("change"));
  document.getElementById("map").scrollIntoView();
  select.focus({ preventScroll: true });
}

// ---- Charts. Plotly reads a few tags in its labels, so what is text is escaped for it.

function label(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function wrapped(text) {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    if (lines.at(-1).length + word.length > HOVER_LINE) lines.push("");
    lines[lines.length - 1] += `${word} `;
  }
  return lines.map((line) => label(line.trim())).join("<br>");
}

function shortened(text) {
  return label(text.length > 42 ? `${text.slice(0, 40)}…` : text);
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function narrow() {
  return matchMedia("(max-width: 44rem)").matches;
}

function layout(more) {
  return {
    paper_bgcolor: colour("page"), plot_bgcolor: colour("page"),
    font: { color: colour("text"), family: "system-ui, sans-serif" },
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), align: "left", font: { color: colour("text") } },
    margin: { l: 8, r: 8, t: 36, b: 8 },
    showlegend: !narrow(), legend: { itemsizing: "constant" },
    // A finger on the chart must scroll the page.
    dragmode: narrow() ? false : "zoom", ...more,
  };
}

const CONFIG = { displaylogo: false, responsive: true, modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]] };

function mapTraces(map, themes, chosen) {
  const groups = new Map();
  const places = [...themes.keys()].filter((place) => themes[place].kind !== "procedure");
  const named = new Map(places.slice(0, NAMED_THEMES).map((place, rank) => [place, rank]));
  map.theme.forEach((theme, point) => {
    let group = theme < 0 ? "none" : theme;
    if (chosen === null && theme >= 0 && !named.has(theme)) {
      group = themes[theme].kind === "procedure" ? "procedure" : "smaller";
    }
    if (chosen !== null && theme !== chosen) group = "other";
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(point);
  });
  const trace = (points, name, marker, rank) => ({
    type: "scatter", mode: "markers", name, marker, legendrank: rank,
    x: points.map((point) => map.x[point]), y: points.map((point) => map.y[point]),
    customdata: points.map((point) => map.theme[point]),
    text: points.map((point) => {
      const theme = map.theme[point] < 0 ? "in no theme" : themes[map.theme[point]].name;
      return `<b>${label(map.firm[point])}</b><br>${wrapped(map.summary[point])}<br><i>${wrapped(theme)}</i>`;
    }),
    hovertemplate: "%{text}<extra></extra>",
  });
  const faint = { size: 5, color: colour("muted"), opacity: 0.35 };
  const traces = [];
  // What is drawn first lies beneath.
  if (groups.has("other")) traces.push(trace(groups.get("other"), "other topics", { ...faint, opacity: 0.2 }, 3));
  if (groups.has("none")) traces.push(trace(groups.get("none"), "in no theme", faint, 3));
  if (groups.has("procedure")) traces.push(trace(groups.get("procedure"), "about the call itself", faint, 3));
  if (groups.has("smaller")) {
    const name = `${number(places.length - NAMED_THEMES)} smaller themes`;
    traces.push(trace(groups.get("smaller"), name, { size: 6, color: colour("accent"), symbol: "x-thin-open", opacity: 0.6 }, 2));
  }
  for (const [group, points] of [...groups].filter(([name]) => typeof name === "number").sort((a, b) => a[0] - b[0])) {
    const rank = named.get(group) ?? 0;
    const marker = {
      size: 8, opacity: 0.85, color: COLOURS[rank % COLOURS.length],
      symbol: SYMBOLS[Math.floor(rank / COLOURS.length) % SYMBOLS.length],
    };
    traces.push(trace(points, shortened(themes[group].name), marker, 1));
  }
  return traces;
}

function drawMap(map, themes) {
  const chart = document.getElementById("map-chart");
  const chosen = document.getElementById("map-theme").value;
  const axis = { visible: false };
  Plotly.react(chart, mapTraces(map, themes, chosen === "" ? null : Number(chosen)),
    layout({ xaxis: axis, yaxis: axis, hovermode: "closest" }), CONFIG);
}

function drawTimeline(timeline) {
  const grid = { gridcolor: colour("line"), linecolor: colour("line"), automargin: true };
  const traces = timeline.chains.slice(0, NAMED_CHAINS).map((chain, place) => ({
    type: "scatter", mode: "lines+markers", name: shortened(chain.name), x: timeline.quarters,
    y: chain.n_firms, marker: { size: 8, color: COLOURS[place], symbol: SYMBOLS[place % 2] },
    line: { color: COLOURS[place], dash: place % 2 ? "dash" : "solid" },
    hovertemplate: `${wrapped(chain.name).replaceAll("%", "&#37;")}<br>%{x}: %{y} firms<extra></extra>`,
  }));
  Plotly.react(document.getElementById("timeline-chart"), traces, layout({
    xaxis: { ...grid, type: "category" }, yaxis: { ...grid, rangemode: "tozero", title: { text: "firms" } },
  }), CONFIG);
}

async function start() {
  const data = JSON.parse(await unpacked("data"));
  wireThemes(data.themes);
  // The largest part by far comes last, when the tables work already.
  document.head.append(element("script", { textContent: await unpacked("plotly") }));
  const draw = () => {
    drawMap(data.map, data.themes);
    if (data.timeline) drawTimeline(data.timeline);
  };
  draw();
  document.getElementById("map-chart").on("plotly_click", (event) => {
    const theme = event.points[0].customdata;
    if (theme >= 0) openTheme(data.themes, theme);
  });
  document.getElementById("map-theme").addEventListener("change", () => drawMap(data.map, data.themes));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  matchMedia("(max-width: 44rem)").addEventListener("change", draw);
  document.documentElement.dataset.ready = "yes";
}

start().catch((fault) => {
  const problem = document.getElementById("problem");
  problem.textContent = `Parts of this page do not work in this browser (${fault.message}). Its numbers and tables are right all the same.`;
  problem.hidden = false;
  console.error(fault);
});
