// Plots over time, as SVG: they print, and share one cursor that lies over all of them.

const GUTTER = 80, MARGIN = 12; // [px] left and right of the axes, as in style.css

/** At most `count` round numbers in [low, high]. */
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** Lowest and highest finite value of all lines, with zero where it is near. */
function rangeOf(lines) {
  let low = Infinity, high = -Infinity;
  for (const { y } of lines) for (const value of y) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  if (low > high) return [0, 1];
  if (low > 0 && low < high / 2) low = 0;
  const room = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
  return [low === 0 ? 0 : low - room, high + room];
}

class Plot {
  /** @param lines [{name, color, dash, width, t, y, digits}] */
  constructor({ title, unit, lines, height = 96, end, last, onseek }) {
    Object.assign(this, { title, unit, lines, height, end, last });
    this.svg = make("svg", { role: "img", "aria-label": `${title} over time`, onpointerdown: (event) => onseek(event, this.svg) });
    this.values = lines.map(() => make("b", {}));
    const legend = lines.map((line, i) => make("span", {}, lineSample(line), `${line.name} `, this.values[i]));
    this.element = make("div", { class: "plot" }, make("div", { class: "legend" }, make("span", {}, `${title} [${unit}]`), ...legend), this.svg);
  }

  draw(width) {
    const bottom = this.last ? 18 : 4, inner = this.height - bottom - 6, [low, high] = rangeOf(this.lines);
    const x = (t) => GUTTER + (width - GUTTER - MARGIN) * (t / this.end), y = (value) => 6 + inner * (1 - (value - low) / (high - low));
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.svg.setAttribute("height", this.height);
    const parts = [];
    for (const t of ticks(0, this.end, Math.max(3, Math.floor(width / 90)))) {
      parts.push(make("line", { x1: x(t), x2: x(t), y1: 6, y2: 6 + inner, stroke: "#eff1f3" }));
      if (this.last) parts.push(make("text", { x: x(t), y: this.height - 4, "text-anchor": "middle" }, `${number(t, this.end < 5 ? 1 : 0)} s`));
    }
    for (const value of ticks(low, high, 4)) {
      parts.push(make("line", { x1: GUTTER, x2: width - MARGIN, y1: y(value), y2: y(value), stroke: Math.abs(value) < 1e-9 ? "#b9c0c6" : "#eff1f3" }));
      parts.push(make("text", { x: GUTTER - 6, y: y(value) + 3.5, "text-anchor": "end" }, tidy(value)));
    }
    for (const line of this.lines) {
      const path = { d: pathData(line, x, y), fill: "none", stroke: line.color, "stroke-width": line.width ?? 1.4, "stroke-dasharray": line.dash ?? "", "stroke-linejoin": "round" };
      parts.push(make("path", path));
    }
    this.svg.replaceChildren(...parts);
  }

  /** Write the values at a time [s] into the legend. */
  read(t) {
    this.lines.forEach((line, i) => {
      const k = Math.round((t - line.t[0]) / (line.t[1] - line.t[0] || 1)), value = line.y[Math.max(k, 0)];
      this.values[i].textContent = value === undefined ? "" : Number.isFinite(value) ? tidy(value, line.digits ?? 2) : "–";
    });
  }
}

function tidy(value, digits) {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(1).replace("-", "−");
  return digits === undefined ? String(+value.toPrecision(6)).replace("-", "−") : number(value, size >= 100 ? 0 : digits);
}

function pathData({ t, y }, xOf, yOf) {
  let data = "", pen = "M";
  for (let i = 0; i < t.length; i++) {
    if (!Number.isFinite(y[i])) { pen = "M"; continue; }
    data += `${pen}${xOf(t[i]).toFixed(1)} ${yOf(y[i]).toFixed(1)}`;
    pen = "L";
  }
  return data;
}

function lineSample({ color, dash = "", width = 2 }) {
  const line = { x1: 0, x2: 18, y1: 4, y2: 4, stroke: color, "stroke-width": Math.max(width, 1.8), "stroke-dasharray": dash };
  return make("svg", { class: "swatch", width: 18, height: 8, style: "margin-right: 4px; width: 18px; display: inline-block", "aria-hidden": "true" }, make("line", line));
}

/** The plots of the shown drives; costs are those of the main one. */
function plotsOf(shown, end, onseek) {
  const lines = (name, digits) => shown.filter(({ drive }) => drive.series[name])
    .map(({ name: planner, color, dash, drive }) => ({ name: planner, color, dash, t: drive.t, y: drive.series[name], digits }));
  const main = shown.find((one) => one.main), plots = [];
  const limit = { name: "limit", color: "#9aa0a6", dash: "3 3", width: 1, t: main.drive.t, y: main.drive.series.limit };
  plots.push({ title: "speed", unit: "m/s", lines: [limit, ...lines("speed")] });
  plots.push({ title: "acceleration", unit: "m/s²", lines: lines("accel") });
  plots.push({ title: "driver, whole tick", unit: "ms", lines: lines("act_ms", 1), height: 78 });
  if (shown.some(({ drive }) => drive.series.solve_ms)) plots.push({ title: "solver", unit: "ms", lines: lines("solve_ms", 1), height: 78 });
  const costs = largestCosts(main.drive, 6).map((name, i) => (
    { name: name.replaceAll("_", " "), color: COLORS[(i + 2) % COLORS.length], dash: DASHES[i], t: main.drive.t, y: main.drive.cost[name] }));
  if (costs.length) plots.push({ title: `cost terms of ${main.name}`, unit: "–", lines: costs, height: 110 });
  return plots.map((plot, i) => new Plot({ ...plot, end, onseek, last: i === plots.length - 1 }));
}

function largestCosts({ cost }, count) {
  const sums = Object.entries(cost).map(([name, y]) => [name, y.reduce((sum, value) => sum + (Number.isFinite(value) ? Math.abs(value) : 0), 0)]);
  return sums.filter(([, sum]) => sum > 0).sort((a, b) => b[1] - a[1]).slice(0, count).map(([name]) => name);
}
