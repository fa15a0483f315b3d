// The page: figures, the list of routes, and keys.

const bench = JSON.parse(byId("bench").textContent);
showTables(bench);
const replay = new Replay(bench);
const keyOf = (route) => `${route.route}-${route.seed}`;
let current = null;

const FILTERS = {
  all: () => true,
  failed: (rows) => rows.some((row) => !row.error && !row.success),
  infractions: (rows) => rows.some((row) => row.infractions?.length),
  differ: (rows) => new Set(rows.map((row) => row.driving_score)).size > 1,
  errors: (rows) => rows.some((row) => row.error),
};

function listed() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean), fits = FILTERS[byId("filter").value];
  return bench.routes.filter((route) => {
    const text = `${route.route} ${route.town} ${route.scenarios.join(" ")}`.toLowerCase();
    return words.every((word) => text.includes(word)) && fits(Object.values(route.drives));
  });
}

function routeItem(route) {
  const scores = bench.planners.map(({ name }, index) => {
    const row = route.drives[name];
    if (!row) return null;
    const dot = make("span", { class: "dot", style: `background: ${COLORS[index % COLORS.length]}` });
    return make("span", { title: name, class: row.error || !row.success ? "bad" : "" }, dot, row.error ? "error" : number(row.driving_score));
  });
  const seed = bench.routes.some((other) => other.seed > 1) ? ` · seed ${route.seed}` : "";
  const button = make("button", { class: "route", "data-key": keyOf(route), onclick: () => choose(route) },
    make("div", { class: "what" }, make("b", {}, route.route), make("span", { class: "kind" }, route.scenarios.join(", ") || "–"), make("span", { class: "quiet" }, route.town + seed)),
    make("div", { class: "scores" }, ...scores));
  return make("li", {}, button);
}

function showList() {
  const routes = listed();
  byId("route-list").replaceChildren(...routes.map(routeItem));
  byId("route-count").textContent = `${routes.length} of ${bench.routes.length}`;
  mark();
}

function mark() {
  for (const button of document.querySelectorAll(".route")) button.setAttribute("aria-current", current !== null && button.dataset.key === keyOf(current));
}

async function choose(route) {
  current = route;
  mark();
  showInList(document.querySelector(".route[aria-current=true]"));
  history.replaceState(null, "", `#${encodeURIComponent(keyOf(route))}`); // so that a link can name it
  await replay.open(route);
}

/** Scroll the list, and not the page, to one of its routes. */
function showInList(item) {
  const list = byId("route-list").getBoundingClientRect(), box = item?.getBoundingClientRect();
  if (!box) return;
  if (box.top < list.top) byId("route-list").scrollTop += box.top - list.top;
  if (box.bottom > list.bottom) byId("route-list").scrollTop += box.bottom - list.bottom;
}

function stepRoute(by) {
  const routes = listed(), at = routes.indexOf(current);
  const next = routes[Math.min(Math.max(at + by, 0), routes.length - 1)];
  if (next && next !== current) choose(next);
}

function stepEvent(by) {
  const events = replay.events(), next = by > 0 ? events.find((e) => e.t > replay.t + 0.01) : events.findLast((e) => e.t < replay.t - 0.01);
  if (next) replay.jump(next);
}

const KEYS = {
  " ": () => byId("play").click(),
  ArrowLeft: (event) => replay.seek(replay.t - (event.shiftKey ? 0.1 : 1)),
  ArrowRight: (event) => replay.seek(replay.t + (event.shiftKey ? 0.1 : 1)),
  n: () => stepEvent(1),
  p: () => stepEvent(-1),
  j: () => stepRoute(1),
  k: () => stepRoute(-1),
  f: () => replay.setFollow(!replay.follows),
  "+": () => byId("closer").click(),
  "-": () => byId("farther").click(),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !replay.route) return;
  const typing = event.target.matches("input[type=search], select"), pressing = event.key === " " && event.target.matches("button, input");
  if (typing || pressing) return; // the element has a use for the key
  const digit = Number(event.key) - 1, action = bench.planners[digit] ? () => replay.toggle(bench.planners[digit].name) : KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action(event);
});

byId("search").oninput = showList;
byId("filter").onchange = showList;
showList();
const named = decodeURIComponent(location.hash.slice(1));
await choose(bench.routes.find((route) => keyOf(route) === named) ?? bench.routes[0]);
