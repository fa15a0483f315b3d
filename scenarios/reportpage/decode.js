// Documents of `scenarios/packing.py` and `scenarios/recording.py`, and who is where at a time.

/** Undo `pack`: (n) numbers, NaN where there was none. */
function unpack({ step, d }) {
  const values = new Float64Array(d.length);
  let whole = 0;
  for (let i = 0; i < d.length; i++) {
    if (d[i] === null) values[i] = NaN;
    else values[i] = (whole += d[i]) * step;
  }
  return values;
}

/** The JSON of a script element of the page: base64 of gzip. */
async function inflate(id) {
  const text = document.getElementById(id).textContent;
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

/** Poses over time; `from` is the sample that it begins with. */
class Track {
  constructor({ x, y, yaw, half, kind = 0, type = "", id = 0, from = 0 }) {
    Object.assign(this, { half, kind, type, id, from });
    [this.x, this.y, this.yaw] = [x, y, yaw].map(unpack);
  }

  /** Pose at a fractional sample, null when it is not there. */
  at(sample) {
    const i = sample - this.from, last = this.x.length - 1;
    if (i < 0 || i > last) return null;
    const k = Math.min(Math.floor(i), Math.max(last - 1, 0)), w = last ? i - k : 0, m = Math.min(k + 1, last);
    const mix = (a) => a[k] + w * (a[m] - a[k]);
    return { x: mix(this.x), y: mix(this.y), yaw: mix(this.yaw) };
  }
}

class Drive {
  constructor(recording) {
    Object.assign(this, recording); // t0, dt, num, interventions, active, signals
    this.ego = new Track(recording.ego);
    this.agents = recording.agents.map((agent) => new Track(agent));
    const unpacked = (packed) => Object.fromEntries(Object.entries(packed).map(([name, p]) => [name, unpack(p)]));
    this.series = unpacked(recording.series);
    this.cost = unpacked(recording.cost);
    this.t = Float64Array.from({ length: this.num }, (_, i) => this.t0 + i * this.dt);
    this.end = this.t[this.num - 1];
  }

  /** Fractional sample at a time [s]; it stays at the first and last one. */
  sample(t) {
    return Math.min(Math.max((t - this.t0) / this.dt, 0), this.num - 1);
  }

  value(name, t) {
    return this.series[name]?.[Math.round(this.sample(t))] ?? NaN;
  }

  /** What a light shows, as `SignalState` counts. */
  light(id, t) {
    const sample = this.sample(t) + 1e-6;
    let state = 4;
    for (const [i, shown] of this.signals[id] ?? []) if (i <= sample) state = shown;
    return state;
  }

  /** Word of the span [from, to, word] that covers a time. */
  static word(spans, t) {
    return spans.find(([from, to]) => t >= from && t < to)?.[2] ?? "";
  }
}

class Ground {
  constructor(recorded) {
    const ring = ({ x, y }) => ({ x: unpack(x), y: unpack(y) });
    this.length = recorded.length;
    this.route = ring(recorded.route);
    this.lanes = recorded.lanes.map((lane) => ({ kind: lane.kind, ...ring(lane) }));
    this.paved = recorded.paved.map(ring);
    this.marks = recorded.marks.map((mark) => ({ look: mark.look, ...ring(mark) }));
    this.crossings = recorded.crossings.map(ring);
    this.stops = recorded.stops.map((stop) => ({ kind: stop.kind, signal: stop.signal, ...ring(stop) }));
  }
}
