// What stands above the replays: ranking, abilities, scenario types, and what could not be driven.

// Okabe and Ito's colours, told apart by the colour-blind; dashes tell them apart in print.
const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D", "#8A6D00"];
const DASHES = ["", "7 3", "2 2.5", "8 2.5 2 2.5", "4 2", "1 2", "10 4", "5 1.5 1 1.5"];
const COUNTED = [
  ["pedestrians", "walkers hit"], ["vehicles", "vehicles hit"], ["statics", "objects hit"], ["red_lights", "red lights"],
  ["stop_signs", "stop signs"], ["scenario_timeouts", "timeouts"], ["missed_yields", "missed yields"],
];

/** An element with attributes and children; text stays text. */
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "circle", "text", "g", "rect"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const byId = (id) => document.getElementById(id);
const number = (value, digits = 1) => (Number.isFinite(value) ? value.toFixed(digits).replace("-", "−") : "–");
const percent = (share, digits = 1) => number(share === null ? NaN : 100 * share, digits);

/** A short line as in the plots, for tables and legends. */
function swatch(index) {
  const line = { x1: 0, y1: 4, x2: 26, y2: 4, stroke: COLORS[index % COLORS.length], "stroke-width": 2.5,
                 "stroke-dasharray": DASHES[index % DASHES.length] };
  return make("svg", { class: "swatch", width: 26, height: 8, "aria-hidden": "true" }, make("line", line));
}

function head(...cells) {
  return make("thead", {}, make("tr", {}, ...cells.map((cell) => make("th", { scope: "col" }, cell))));
}

/** A dot in its interval on a scale from 0 to `full`. */
function intervalBar(mean, ends, full, index) {
  const width = 150, at = (value) => 4 + (width - 8) * (value / full), color = COLORS[index % COLORS.length];
  const bar = make("svg", { width, height: 16, "aria-hidden": "true" }, make("line", { x1: at(0), x2: at(full), y1: 8, y2: 8, stroke: "#e3e6e9" }));
  if (mean === null) return bar;
  if (ends) bar.append(make("line", { x1: at(ends[0]), x2: at(ends[1]), y1: 8, y2: 8, stroke: color, "stroke-width": 2.5 }));
  for (const end of ends ?? []) bar.append(make("line", { x1: at(end), x2: at(end), y1: 4.5, y2: 11.5, stroke: color, "stroke-width": 1.5 }));
  bar.append(make("circle", { cx: at(mean), cy: 8, r: 4, fill: color, stroke: "#fff" }));
  return bar;
}

function showRanking(bench) {
  const counted = Object.entries(bench.labels).filter(([kind]) => bench.planners.some((planner) => planner.infractions[kind]));
  const rows = bench.planners.map((planner, index) => ({ ...planner, index }));
  rows.sort((a, b) => (b.driving_score ?? -1) - (a.driving_score ?? -1));
  const cells = rows.map((planner) => {
    const name = make("th", { scope: "row" }, swatch(planner.index), planner.name);
    const interval = (ends, scale) => ends && make("span", { class: "interval" }, ` [${number(scale * ends[0])}, ${number(scale * ends[1])}]`);
    return make("tr", { "data-planner": planner.name }, name,
      make("td", {}, make("b", {}, number(planner.driving_score)), interval(planner.driving_score_ci, 1)),
      make("td", {}, intervalBar(planner.driving_score, planner.driving_score_ci, 100, planner.index)),
      make("td", {}, make("b", {}, percent(planner.success_rate)), interval(planner.success_rate_ci, 100)),
      make("td", {}, percent(planner.completion)), ...counted.map(([kind]) => make("td", {}, String(planner.infractions[kind] ?? 0))),
      make("td", {}, percent(planner.comfort)), make("td", {}, number(planner.pace, 2)), make("td", {}, String(planner.drives)),
      make("td", { class: planner.errors ? "bad" : "" }, String(planner.errors)));
  });
  byId("ranking-table").replaceChildren(
    head("planner", "driving score", "from 0 to 100", "success [%]", "completion [%]", ...counted.map(([, words]) => words.toLowerCase().replace(" infractions", "")),
         "comfort [%]", "wall s per s", "drives", "errors"), make("tbody", {}, ...cells));
  const seeds = Math.max(...bench.routes.map((route) => route.seed)), routes = new Set(bench.routes.map((route) => route.route)).size;
  byId("title").textContent = `Bench on ${bench.suite}`;
  document.title = `headway bench: ${bench.suite}`;
  byId("about").textContent = [`${routes} routes`, `${seeds} ${seeds > 1 ? "seeds" : "seed"} each`, `score ${bench.score}`,
    bench.git && `headway ${bench.git.slice(0, 10)}`, `written ${bench.made}`].filter(Boolean).join(" · ");
  byId("ranking-note").textContent = "Means over drives with their 95 % intervals in brackets (bootstrap over routes, percentiles; none for a single route). "
    + "Drives that could not be made count as errors and in no mean; their reasons stand with their routes.";
}

/** How far each planner is from the first one, on the drives that both have. */
function showDifferences(bench) {
  const [first, ...others] = bench.planners;
  byId("differences").hidden = !others.length;
  const cells = (less, name, scale) => {
    const ends = less[`${name}_ci`], signed = (value) => (value === null ? "–" : (value > 0 ? "+" : "") + number(scale * value));
    return make("td", {}, make("b", {}, signed(less[name])), ends && make("span", { class: "interval" }, ` [${signed(ends[0])}, ${signed(ends[1])}]`));
  };
  const lines = others.map((planner, i) => make("tr", {}, make("th", { scope: "row" }, swatch(i + 1), planner.name),
    cells(planner.minus_first, "driving_score", 1), cells(planner.minus_first, "success_rate", 100), make("td", {}, String(planner.minus_first.drives))));
  byId("differences-head").textContent = `Differences to ${first.name}`;
  byId("differences-table").replaceChildren(head("planner", "driving score", "success [points]", "drives of both"), make("tbody", {}, ...lines));
}

function showGroups(id, bench, lines, first, cellOf) {
  const filled = lines.filter((line) => line.cells.some((cell) => cell !== null));
  if (!filled.length) byId(id).hidden = true;
  const heads = bench.planners.map((planner, index) => make("span", {}, swatch(index), planner.name));
  const body = filled.map((line) => make("tr", {}, make("th", { scope: "row" }, line.name),
    ...line.cells.map((cell) => (cell !== null ? cellOf(cell, line) : make("td", { class: "quiet" }, "–")))));
  byId(`${id}-table`).replaceChildren(head(first, ...heads), make("tbody", {}, ...body));
}

function showTables(bench) {
  showRanking(bench);
  showDifferences(bench);
  const abilities = bench.abilities.map((name) => ({ name: name.replaceAll("_", " "), cells: bench.planners.map((planner) => planner.abilities[name] ?? null) }));
  showGroups("abilities", bench, abilities, "ability", (share) => make("td", {}, percent(share)));
  const scoreOf = (cell, line) => {
    const best = Math.max(...line.cells.filter(Boolean).map((other) => other.score)) === cell.score;
    return make("td", {}, make(best ? "b" : "span", {}, number(cell.score)), make("span", { class: "interval" }, ` ${percent(cell.success, 0)} % (${cell.drives})`));
  };
  showGroups("difficulties", bench, bench.difficulties, "difficulty", scoreOf);
  showGroups("towns", bench, bench.towns, "town", scoreOf);
  showGroups("types", bench, bench.types, "scenario type", scoreOf);
  byId("left-out").hidden = !bench.left_out.length;
  byId("left-out").querySelector("ul").replaceChildren(...bench.left_out.map((reason) => make("li", {}, reason)));
}
