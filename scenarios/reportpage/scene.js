// The map: roads, lights, traffic and each shown planner's car, on a canvas in metres, north up.

const FILL = { 0: "#dcdfe2", 1: "#efece4", 2: "#e4e3de", 3: "#e6e7e6", 4: "#e7dcd8" }; // LaneKind
const MARK = { solid: ["#ffffff", 0.16], dashed: ["#ffffff", 0.16], middle: ["#d8b24a", 0.14], border: ["#c3c8cc", 0.12] };
const LIGHT = ["#D55E00", "#E0A800", "#009E73", "#9aa0a6", "#9aa0a6"]; // SignalState
const AGENT = { 0: "#8b939b", 1: "#6f5f90", 2: "#3c3226", 3: "#b59f6b" }; // AgentKind
const [TWO_WHEELER, WALKER, PROP] = [1, 2, 3];
const FLASH = 1.5; // [s] for which an infraction is marked

function pathOf(lines, closed) {
  const path = new Path2D();
  for (const { x, y } of lines) {
    path.moveTo(x[0], y[0]);
    for (let i = 1; i < x.length; i++) path.lineTo(x[i], y[i]);
    if (closed) path.closePath();
  }
  return path;
}

class Scene {
  constructor(ground) {
    this.ground = ground;
    const order = [1, 3, 2, 4, 0];
    this.areas = order.map((kind) => [FILL[kind], pathOf(ground.lanes.filter((lane) => lane.kind === kind), true)]);
    this.paved = pathOf(ground.paved, true);
    this.marks = Object.keys(MARK).map((look) => [look, pathOf(ground.marks.filter((mark) => mark.look === look))]);
    this.crossings = pathOf(ground.crossings, true);
    this.route = pathOf([ground.route]);
  }

  /** [west, south, east, north] of the route, with room round it. */
  bounds() {
    const { x, y } = this.ground.route, room = 15;
    return [Math.min(...x) - room, Math.min(...y) - room, Math.max(...x) + room, Math.max(...y) + room];
  }

  /**
   * Draw one moment.
   * @param camera {x, y, scale}: [m] the centre, [px/m]
   * @param drives [{drive, color, row, main}]: `main`'s traffic and lights are shown
   */
  draw(canvas, camera, drives, t) {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const c = canvas.getContext("2d"), scale = camera.scale * ratio;
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, canvas.width, canvas.height);
    c.setTransform(scale, 0, 0, -scale, canvas.width / 2 - scale * camera.x, canvas.height / 2 + scale * camera.y);
    const pixel = 1 / camera.scale;
    this.#roads(c, pixel);
    const main = drives.find((shown) => shown.main) ?? drives[0];
    if (!main) return;
    this.#stops(c, main.drive, t, pixel);
    for (const shown of drives) this.#trail(c, shown, t, pixel);
    for (const track of main.drive.agents) this.#agent(c, track, main.drive.sample(t), pixel);
    for (const shown of [...drives].sort((a, b) => a.main - b.main)) this.#ego(c, shown, t, pixel);
    for (const shown of drives) this.#infractions(c, shown, t, pixel);
    this.#ruler(c, canvas, camera, ratio);
  }

  #roads(c, pixel) {
    for (const [fill, path] of this.areas.slice(0, -1)) this.#area(c, fill, path, pixel);
    c.fillStyle = FILL[0];
    c.fill(this.paved);
    this.#area(c, ...this.areas.at(-1), pixel);
    c.fillStyle = "rgba(255, 255, 255, .6)";
    c.fill(this.crossings);
    for (const [look, path] of this.marks) {
      const [color, metres] = MARK[look];
      c.strokeStyle = color;
      c.lineWidth = Math.max(metres, 0.8 * pixel);
      c.setLineDash(look === "dashed" ? [3, 4.5] : []);
      c.stroke(path);
    }
    c.setLineDash([]);
    c.strokeStyle = "rgba(60, 70, 80, .35)";
    c.lineWidth = Math.max(0.35, 1.5 * pixel);
    c.setLineDash([1.2, 1.2]);
    c.stroke(this.route);
    c.setLineDash([]);
  }

  #area(c, fill, path, pixel) {
    c.fillStyle = c.strokeStyle = fill;
    c.lineWidth = 0.5 * pixel; // closes the seams between neighbours
    c.fill(path);
    c.stroke(path);
  }

  #stops(c, drive, t, pixel) {
    for (const { kind, signal, x, y } of this.ground.stops) {
      const state = signal ? drive.light(signal, t) : -1;
      c.strokeStyle = signal ? LIGHT[state] : "#ffffff";
      // Red is thick and green thin, for who sees no colours.
      c.lineWidth = Math.max(signal ? [0.9, 0.7, 0.45, 0.3, 0.3][state] : 0.4, 1.5 * pixel);
      c.setLineDash(kind === "yield" ? [0.6, 0.5] : []);
      c.beginPath();
      c.moveTo(x[0], y[0]);
      c.lineTo(x[1], y[1]);
      c.stroke();
      c.setLineDash([]);
      if (kind === "stop") this.#disc(c, x[1] + 0.6 * (x[1] - x[0]) / 3.5, y[1] + 0.6 * (y[1] - y[0]) / 3.5, 0.7, "#b3261e");
    }
  }

  #disc(c, x, y, radius, fill) {
    c.fillStyle = fill;
    c.beginPath();
    c.arc(x, y, radius, 0, 2 * Math.PI);
    c.fill();
  }

  #trail(c, { drive, color }, t, pixel) {
    const { x, y } = drive.ego, now = Math.floor(drive.sample(t));
    c.strokeStyle = color;
    c.lineWidth = Math.max(0.18, 1.6 * pixel);
    for (const [from, to, alpha] of [[0, now, 0.9], [now, drive.num - 1, 0.25]]) {
      c.globalAlpha = alpha;
      c.beginPath();
      for (let i = from; i <= to; i++) c.lineTo(x[i], y[i]);
      c.stroke();
    }
    c.globalAlpha = 1;
  }

  #agent(c, track, sample, pixel) {
    const pose = track.at(sample);
    if (!pose) return;
    const color = AGENT[track.kind] ?? AGENT[0];
    if (track.kind === WALKER) return this.#disc(c, pose.x, pose.y, Math.max(0.35, 2.5 * pixel), color);
    this.#box(c, pose, track.half, color, "#ffffff", pixel, track.kind !== PROP && track.kind !== TWO_WHEELER);
  }

  /** A box with a windscreen at its front; at least so large that it can be seen. */
  #box(c, { x, y, yaw }, [length, width], fill, line, pixel, front) {
    const grow = Math.max(1, (3 * pixel) / width);
    c.save();
    c.translate(x, y);
    c.rotate(yaw);
    c.scale(grow, grow);
    c.fillStyle = fill;
    c.strokeStyle = line;
    c.lineWidth = (1 * pixel) / grow;
    c.beginPath();
    c.rect(-length, -width, 2 * length, 2 * width);
    c.fill();
    c.stroke();
    if (front) {
      c.fillStyle = "rgba(255, 255, 255, .7)";
      c.beginPath();
      c.moveTo(0.78 * length, 0);
      c.lineTo(0.3 * length, 0.72 * width);
      c.lineTo(0.3 * length, -0.72 * width);
      c.fill();
    }
    c.restore();
  }

  #ego(c, { drive, color }, t, pixel) {
    c.globalAlpha = t > drive.end + drive.dt ? 0.4 : 1; // it has ended
    this.#box(c, drive.ego.at(drive.sample(t)), drive.ego.half, color, "#1d2227", pixel, true);
    c.globalAlpha = 1;
  }

  #infractions(c, { row, color }, t, pixel) {
    for (const { x, y, t: when } of row.infractions) {
      const arm = 5 * pixel, near = Math.abs(t - when) < FLASH;
      c.strokeStyle = color;
      c.lineWidth = 2 * pixel;
      c.beginPath();
      c.moveTo(x - arm, y - arm);
      c.lineTo(x + arm, y + arm);
      c.moveTo(x - arm, y + arm);
      c.lineTo(x + arm, y - arm);
      c.stroke();
      if (!near) continue;
      c.beginPath();
      c.arc(x, y, 20 * pixel, 0, 2 * Math.PI);
      c.stroke();
    }
  }

  #ruler(c, canvas, { scale }, ratio) {
    const metres = [200, 100, 50, 20, 10, 5, 2].find((m) => m * scale < 140) ?? 1;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    const right = canvas.width / ratio - 12, top = 16;
    c.strokeStyle = c.fillStyle = "#626a72";
    c.lineWidth = 1.5;
    c.beginPath();
    c.moveTo(right - metres * scale, top);
    c.lineTo(right, top);
    c.stroke();
    c.font = "11px sans-serif";
    c.textAlign = "right";
    c.fillText(`${metres} m`, right, top + 13);
  }
}
