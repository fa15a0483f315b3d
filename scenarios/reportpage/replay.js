// One route: its drives, the views on them, the time line and the plots.

const SIGNS = { collision: ["C", "collision"], red_light: ["R", "red light"], stop_sign: ["S", "stop sign"] };
const HEIGHT = 430; // [px] of a map

class Replay {
  constructor(bench) {
    this.bench = bench;
    this.t = 0;
    this.end = 1;
    this.rate = 1;
    this.playing = false;
    this.shown = [];
    this.hidden = new Set(); // planners that are not shown, kept from route to route
    this.mainName = "";
    this.beside = false;
    this.follows = true;
    this.zoom = 6; // [px/m] when following
    this.offset = { x: 0, y: 0 }; // [m] the views were dragged by
    this.grounds = new Map();
    this.#controls();
    new ResizeObserver(() => this.#layOut()).observe(byId("views"));
  }

  /** Show a route of the bench: decode its drives, and no others. */
  async open(route) {
    this.route = route;
    this.pause();
    this.t = 0;
    this.offset = { x: 0, y: 0 };
    byId("route-name").textContent = `Route ${route.route}${this.bench.routes.some((r) => r.seed > 1) ? `, seed ${route.seed}` : ""}`;
    const kept = this.bench.planners.map(({ name }, index) => ({ name, index, row: route.drives[name] })).filter(({ row }) => row?.blob);
    this.drives = await Promise.all(kept.map(async ({ name, index, row }) => ({
      name, row, color: COLORS[index % COLORS.length], dash: DASHES[index % DASHES.length], main: false,
      drive: new Drive(await inflate(row.blob)), ground: new Ground(await inflate(row.ground)),
    })));
    if (this.route !== route) return; // another one was chosen meanwhile
    this.scene = this.drives.length ? new Scene(this.drives[0].ground) : null;
    byId("route-about").textContent = [route.town, route.scenarios.join(", ") || "no scenario", this.scene && `${number(this.scene.ground.length, 0)} m`].filter(Boolean).join(" · ");
    this.choose();
  }

  /** Lay out what is shown after the choice of planners has changed. */
  choose() {
    if (!this.drives.some(({ name }) => !this.hidden.has(name))) this.hidden.clear();
    this.shown = this.drives.filter(({ name }) => !this.hidden.has(name));
    const main = this.shown.find(({ name }) => name === this.mainName) ?? this.shown[0];
    for (const one of this.drives) one.main = one === main;
    this.end = Math.max(...this.shown.map(({ drive }) => drive.end), 0.1);
    this.t = Math.min(this.t, this.end);
    this.#drivesTable();
    byId("stage").hidden = !this.shown.length;
    const without = Object.values(this.route.drives).filter((row) => !row.error && !row.blob).length;
    byId("message").textContent = without ? `${without} drives of this route were not kept, so they cannot be replayed.` : "";
    if (!this.shown.length) return;
    byId("scrub").max = this.end;
    this.#makeViews();
    this.#timeLine();
    this.#infractionsTable();
    this.plots = plotsOf(this.shown, this.end, (event, svg) => this.#seekOn(event, svg));
    byId("plots").replaceChildren(...this.plots.map((plot) => plot.element));
    this.#layOut();
  }

  seek(t) {
    this.t = Math.min(Math.max(t, 0), this.end);
    this.draw();
  }

  play() {
    if (this.t >= this.end) this.t = 0;
    this.playing = true;
    byId("play").textContent = "❚❚";
    byId("play").setAttribute("aria-label", "Pause");
    let before = performance.now();
    const step = (now) => {
      if (!this.playing) return;
      this.seek(this.t + (this.rate * (now - before)) / 1000);
      before = now;
      if (this.t >= this.end) this.pause();
      else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  pause() {
    this.playing = false;
    byId("play").textContent = "▶";
    byId("play").setAttribute("aria-label", "Play");
  }

  /** Jump to an infraction, shortly before it as one wants to see it come. */
  jump(event) {
    this.pause();
    this.seek(event.t);
  }

  events() {
    return this.shown.flatMap((one) => one.row.infractions.map((event) => ({ ...event, one }))).sort((a, b) => a.t - b.t);
  }

  draw() {
    if (!this.shown.length) return;
    for (const view of this.views) {
      const drives = view.one ? [{ ...view.one, main: true }] : this.shown;
      this.scene.draw(view.canvas, this.#camera(view), drives, this.t);
      view.readout.replaceChildren(...drives.map((one) => this.#words(one)));
    }
    byId("clock").textContent = `${number(this.t, 2)} s of ${number(this.end, 1)} s`;
    byId("scrub").value = this.t;
    byId("scrub").setAttribute("aria-valuetext", `${number(this.t, 1)} seconds`);
    const width = byId("time").clientWidth;
    byId("cursor").style.left = `${GUTTER + (width - GUTTER - MARGIN) * (this.t / this.end)}px`;
    for (const plot of this.plots) plot.read(this.t);
  }

  /** What a planner's car does now, in words. */
  #words({ name, color, drive }) {
    const { x, y } = drive.ego.at(drive.sample(this.t)), over = this.t > drive.end + drive.dt;
    const hint = Drive.word(drive.interventions, this.t), bound = Drive.word(drive.active, this.t);
    const words = ` x ${number(x, 2)} y ${number(y, 2)} m, ${number(drive.value("speed", this.t), 2)} m/s, ${number(drive.value("accel", this.t), 2)} m/s²`
      + (over ? ", ended" : "") + (bound && !over ? `, bound by ${bound}` : "");
    return make("div", { "data-planner": name }, make("b", { style: `color: ${color}` }, name), words, hint && make("span", { class: "bad" }, `, safety: ${hint}`));
  }

  #camera(view) {
    const { clientWidth: width, clientHeight: height } = view.canvas, { x: dx, y: dy } = this.offset;
    if (this.follows) {
      const { drive } = view.one ?? this.shown.find((one) => one.main), { x, y } = drive.ego.at(drive.sample(this.t));
      return { x: x + dx, y: y + dy, scale: this.zoom };
    }
    const [west, south, east, north] = this.scene.bounds(), fit = Math.min(width / (east - west), height / (north - south));
    return { x: (west + east) / 2 + dx, y: (south + north) / 2 + dy, scale: fit * (this.zoom / 6) };
  }

  #makeViews() {
    const make1 = (one) => {
      const canvas = make("canvas", { "aria-label": one ? `Map with ${one.name}` : "Map" }), readout = make("div", { class: "readout" });
      canvas.style.height = `${HEIGHT}px`;
      const element = make("div", { class: "view" }, canvas, readout);
      this.#draggable(canvas);
      return { one, canvas, readout, element };
    };
    this.views = this.beside ? this.shown.map(make1) : [make1(null)];
    byId("views").style.gridTemplateColumns = `repeat(${Math.min(this.views.length, 3)}, minmax(0, 1fr))`;
    byId("views").replaceChildren(...this.views.map((view) => view.element));
  }

  #draggable(canvas) {
    const scaleOf = () => this.#camera(this.views.find((view) => view.canvas === canvas)).scale;
    canvas.addEventListener("pointermove", (event) => {
      if (!(event.buttons & 1)) return;
      this.offset.x -= event.movementX / scaleOf();
      this.offset.y += event.movementY / scaleOf();
      this.draw();
    });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.shiftKey && document.activeElement !== canvas) return; // the page scrolls
      event.preventDefault();
      this.#zoomBy(Math.exp(-event.deltaY / 400));
    }, { passive: false });
    canvas.tabIndex = 0; // once it is clicked, the wheel zooms
  }

  #zoomBy(factor) {
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.8), 40);
    this.draw();
  }

  #layOut() {
    if (!this.shown.length) return;
    for (const plot of this.plots) plot.draw(byId("plots").clientWidth);
    this.draw();
  }

  #seekOn(event, element) {
    const box = element.getBoundingClientRect(), t = (x) => ((x - box.left - GUTTER) / (box.width - GUTTER - MARGIN)) * this.end;
    this.pause();
    this.seek(t(event.clientX));
    const move = (moved) => this.seek(t(moved.clientX));
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", () => window.removeEventListener("pointermove", move), { once: true });
  }

  #drivesTable() {
    const lines = this.bench.planners.map(({ name }, index) => {
      const row = this.route.drives[name];
      if (!row) return null;
      if (row.error) return make("tr", {}, make("td", {}), make("th", { scope: "row", class: "word" }, swatch(index), name), make("td", { class: "reason bad", colspan: 7 }, `not driven: ${row.error}`));
      const one = this.drives.find((drive) => drive.name === name);
      const show = make("input", { type: "checkbox", "aria-label": `Show ${name}`, disabled: !one, onchange: () => this.toggle(name) });
      const lead = make("input", { type: "radio", name: "main", "aria-label": `Traffic of ${name}`, disabled: !one, onchange: () => { this.mainName = name; this.hidden.delete(name); this.choose(); } });
      show.checked = Boolean(one) && !this.hidden.has(name);
      lead.checked = Boolean(one?.main);
      const counts = COUNTED.filter(([kind]) => row.outcome[kind]).map(([kind, words]) => `${words} ${row.outcome[kind]}`);
      if (row.outcome.off_lane > 0) counts.push(`off lane ${percent(row.outcome.off_lane)} %`);
      if (row.outcome.slowness.length) counts.push(`slow ${row.outcome.slowness.length}`);
      return make("tr", {}, make("td", {}, show), make("th", { scope: "row", class: "word" }, swatch(index), name), make("td", {}, lead),
        make("td", {}, make("b", {}, number(row.driving_score))), make("td", {}, row.success ? "yes" : "no"), make("td", {}, percent(row.outcome.completion)),
        make("td", {}, number(row.sim_s)), make("td", { class: "word" }, row.status), make("td", { class: "word" }, counts.join(", ") || "none"));
    });
    const words = ["", "planner", "traffic, costs", "score", "success", "completion [%]", "time [s]", "ending", "infractions"];
    const heads = words.map((word) => make("th", { scope: "col", class: ["planner", "ending", "infractions"].includes(word) ? "word" : "" }, word));
    byId("drives").replaceChildren(make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...lines.filter(Boolean)));
  }

  toggle(name) {
    if (!this.drives?.some((one) => one.name === name)) return;
    if (!this.hidden.delete(name)) this.hidden.add(name);
    this.choose();
  }

  /** A lane for each planner's infractions and interventions, and one for what binds the main one. */
  #timeLine() {
    const share = (t) => `${(100 * t) / this.end}%`;
    const lane = (words, title, ...children) => make("div", { class: "lane" }, make("div", { class: "name", title }, words), make("div", { class: "track" }, ...children));
    const lanes = this.shown.map((one) => {
      const spans = one.drive.interventions.map(([from, to, word]) =>
        make("div", { class: "span", title: `safety: ${word}, ${number(from)} s to ${number(to)} s`, style: `left: ${share(from)}; width: ${share(to - from)}; background: ${one.color}; opacity: .55` }));
      const events = one.row.infractions.map((event) => {
        const [sign, words] = SIGNS[event.kind] ?? ["!", event.kind], fault = event.at_fault ? "at fault" : "not at fault";
        const label = `${one.name}: ${words} at ${number(event.t, 1)} s, ${fault}`;
        return make("button", { class: `event ${event.at_fault ? "" : "blameless"}`, style: `left: ${share(event.t)}; --planner: ${one.color}`, title: label, "aria-label": label, onclick: () => this.jump(event) }, sign);
      });
      const rest = make("div", { class: "end", style: `left: ${share(one.drive.end)}`, title: "the drive has ended" });
      return lane(one.name, `${one.name}: infractions, and interventions of the safety layer`, ...spans, rest, ...events);
    });
    const main = this.shown.find((one) => one.main);
    const binding = main.drive.active.map(([from, to, word]) =>
      make("div", { class: "span binding", title: `${word}, ${number(from)} s to ${number(to)} s`, style: `left: ${share(from)}; width: ${share(to - from)}; background: #d4dade` }, word));
    lanes.push(lane("bound by", `what bound the plan of ${main.name}`, ...binding));
    byId("events").replaceChildren(...lanes);
    for (const track of byId("events").querySelectorAll(".track")) {
      track.addEventListener("pointerdown", (event) => {
        const box = track.getBoundingClientRect();
        if (!event.target.closest("button")) this.seek(((event.clientX - box.left) / box.width) * this.end);
      });
    }
  }

  #infractionsTable() {
    const lines = this.events().map((event) => make("tr", {},
      make("td", {}, make("button", { onclick: () => this.jump(event) }, `${number(event.t, 2)} s`)), make("td", { class: "word" }, event.one.name),
      make("td", { class: "word" }, (SIGNS[event.kind] ?? ["", event.kind])[1] + (event.partner_type ? ` with ${event.partner_type}` : "")),
      make("td", { class: "word" }, event.at_fault ? "at fault" : "not at fault"), make("td", { class: "reason" }, event.reason)));
    byId("infractions").replaceChildren(make("tbody", {}, ...(lines.length ? lines : [make("tr", {}, make("td", { class: "quiet" }, "none"))])));
  }

  #controls() {
    byId("play").onclick = () => (this.playing ? this.pause() : this.play());
    byId("rate").onchange = (event) => { this.rate = Number(event.target.value); };
    byId("scrub").oninput = (event) => { this.pause(); this.seek(Number(event.target.value)); };
    byId("closer").onclick = () => this.#zoomBy(1.3);
    byId("farther").onclick = () => this.#zoomBy(1 / 1.3);
    const pressed = (on, off, value) => { byId(on).setAttribute("aria-pressed", value); byId(off).setAttribute("aria-pressed", !value); };
    this.setBeside = (value) => { this.beside = value; pressed("beside", "overlay", value); this.choose(); };
    this.setFollow = (value) => { this.follows = value; this.offset = { x: 0, y: 0 }; pressed("follow", "whole", value); this.draw(); };
    byId("beside").onclick = () => this.setBeside(true);
    byId("overlay").onclick = () => this.setBeside(false);
    byId("follow").onclick = () => this.setFollow(true);
    byId("whole").onclick = () => this.setFollow(false);
  }
}
