"use strict";
/* Draws the pictures of the page when they come into view, links them, and listens to keys.
   Figures are JSON beside each connection; nothing is fetched, and text is only ever set as text. */
(() => {
  const DARK = JSON.parse(document.getElementById("palette").textContent).dark;
  const root = document.documentElement;
  const media = matchMedia("(prefers-color-scheme: dark)");
  const GL_AT_ONCE = 4; // browsers allow few WebGL contexts
  const PAPER = 690; // pixels that fit on a sheet
  let printing = false;

  const dark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : media.matches);
  const webgl = (() => {
    try {
      return Boolean(document.createElement("canvas").getContext("webgl"));
    } catch {
      return false;
    }
  })();

  /* A copy of a figure's part in the colours of the theme; arrays that are packed stay as they are. */
  const themed = (value) => {
    if (typeof value === "string") return dark() ? (DARK[value] ?? value) : value;
    if (Array.isArray(value)) return value.map(themed);
    if (value === null || typeof value !== "object" || value.bdata !== undefined) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, themed(each)]));
  };

  const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array, f8: Float64Array };
  const unpacked = (value) => {
    if (value?.bdata === undefined) return value ?? [];
    const octets = Uint8Array.from(atob(value.bdata), (char) => char.charCodeAt(0));
    return new TYPES[value.dtype](octets.buffer);
  };

  const element = (name, text, kind) => {
    const found = document.createElement(name);
    if (text !== undefined) found.textContent = text;
    if (kind) found.className = kind;
    return found;
  };

  class Picture {
    constructor(connection, figure) {
      this.connection = connection;
      this.name = figure.dataset.figure;
      this.figure = figure;
      this.plot = figure.querySelector(".plot");
      this.status = figure.querySelector(".status");
      this.source = connection.data.figures[this.name];
      this.plot.style.minHeight = `${this.source.layout.height}px`;
      this.drawn = false;
      this.visible = false;
      this.at = -1;
      this.plot.addEventListener("keydown", (event) => this.key(event));
    }

    get gl() {
      return webgl && this.source.data.some((trace) => trace.type === "scattergl");
    }

    /* Layout and traces in the theme's colours, with the axes where they are. */
    layout() {
      const [ink, rule, ground] = dark()
        ? ["#e6edf3", "#30363d", "#0d1117"]
        : ["#1b1f24", "#dfe3e8", "#ffffff"];
      const layout = themed(this.source.layout);
      layout.font = { family: "system-ui, 'DejaVu Sans', sans-serif", size: 12, color: ink };
      layout.paper_bgcolor = layout.plot_bgcolor = ground;
      layout.hoverlabel = { bgcolor: ground, bordercolor: ink, font: { color: ink }, align: "left" };
      layout.modebar = { color: ink, activecolor: dark() ? "#79b8ff" : "#0550ae", bgcolor: "rgba(0,0,0,0)" };
      for (const [name, axis] of Object.entries(layout)) {
        if (!/^[xy]axis/.test(name)) continue;
        Object.assign(axis, { gridcolor: rule, linecolor: rule, tickcolor: rule, showline: true, ticks: "outside" });
        const now = this.drawn && !this.fresh && name[0] === "y" ? this.plot.layout[name] : undefined;
        const range = name[0] === "x" ? this.connection.range : now?.autorange === false ? now.range : undefined;
        if (range) Object.assign(axis, { range: range.slice(), autorange: false });
        else if (!axis.range) axis.autorange = true;
      }
      this.fresh = false;
      Object.assign(layout, printing ? { width: PAPER, autosize: false } : { autosize: true });
      const cursor = this.connection.cursor;
      if (cursor !== undefined) {
        layout.shapes.push({
          type: "line", xref: "x", yref: "paper", x0: cursor, x1: cursor, y0: 0, y1: 1,
          line: { color: dark() ? "#ff6b81" : "#b00020", width: 1.5 },
        });
      }
      return layout;
    }

    traces() {
      const hidden = this.connection.hidden;
      return this.source.data.map((trace) => {
        const found = themed(trace);
        if (found.type === "scattergl" && !webgl) found.type = "scatter";
        const meta = trace.meta ?? {};
        found.visible = !hidden.has(`subflow ${meta.subflow}`) && !hidden.has(`mark ${meta.mark}`);
        return found;
      });
    }

    /* Pictures are drawn one after another, so that the first one is there soon. */
    draw() {
      if (!this.waiting) {
        this.waiting = true;
        Picture.queue = Picture.queue.then(() => this.drawNow()).catch((error) => console.error(error));
      }
      return Picture.queue;
    }

    static queue = Promise.resolve();

    async drawNow() {
      await new Promise((next) => setTimeout(next));
      this.waiting = false;
      await this.paint();
      this.figure.dataset.state = "drawn";
      this.figure.dataset.after ??= Math.round(performance.now());
    }

    /* Draw at once; what is vectors is there when this returns. */
    paint() {
      if (this.gl && !this.drawn) Picture.makeRoom(this);
      const first = !this.drawn;
      const config = {
        responsive: true, displaylogo: false, doubleClick: "reset", modeBarButtonsToRemove: ["select2d", "lasso2d"],
      };
      const layout = this.layout(), traces = this.traces();
      this.drawn = true;
      const done = Plotly.react(this.plot, traces, layout, config);
      if (first) {
        this.plot.on("plotly_relayout", (event) => this.moved(event));
        this.plot.on("plotly_click", (event) => this.clicked(event.points[0]));
        this.plot.on("plotly_hover", (event) => this.told(event.points[0]));
      }
      return done;
    }

    drop() {
      Plotly.purge(this.plot);
      this.drawn = false;
      this.figure.dataset.state = "";
    }

    static live = [];

    static makeRoom(picture) {
      Picture.live = Picture.live.filter((each) => each.drawn);
      for (const each of [...Picture.live]) {
        if (Picture.live.length < GL_AT_ONCE) break;
        if (!each.visible) {
          each.drop();
          Picture.live = Picture.live.filter((other) => other !== each);
        }
      }
      Picture.live.push(picture);
    }

    moved(event) {
      const key = Object.keys(event).find((each) => /^xaxis\d*\.range/.test(each));
      if (key) {
        const axis = key.split(".")[0];
        this.connection.zoom(this.plot.layout[axis].range.slice(), this);
      } else if (Object.keys(event).some((each) => /^xaxis\d*\.autorange$/.test(each))) {
        this.connection.zoom(undefined, this);
      }
    }

    frameOf(point) {
      const data = point.customdata;
      const frame = data === undefined ? undefined : (data.length === undefined ? data : data[0]);
      return frame === undefined ? undefined : Number(frame);
    }

    told(point) {
      const frame = this.frameOf(point);
      if (frame !== undefined) this.say(frame, Number(point.x), "");
    }

    clicked(point) {
      const frame = this.frameOf(point);
      if (frame !== undefined) this.connection.point(frame, Number(point.x), this);
    }

    say(frame, time, words) {
      this.status.replaceChildren(
        `frame ${frame}${words ? `: ${words}` : ""}, ${time.toFixed(6)} s; Wireshark: `,
        element("code", `frame.number == ${frame}`, "filter"));
    }

    /* What keys step through: everything but first transmissions and lines, in order of time. */
    get stops() {
      if (this.found) return this.found;
      this.found = [];
      for (const trace of this.source.data) {
        const mark = trace.meta?.mark;
        if (!mark || ["first_seen", "data_ack", "window"].includes(mark) || !trace.customdata) continue;
        const times = unpacked(trace.x), low = unpacked(trace.y), data = unpacked(trace.customdata);
        const wide = data.length === 2 * times.length;
        for (let at = 0; at < times.length; at++) {
          const cell = wide ? data[2 * at] : data[at];
          const frame = Number(Array.isArray(cell) ? cell[0] : cell);
          const words = wide
            ? `${this.connection.markName(mark)}, subflow ${trace.meta.subflow}, DSN ${low[at]} to ${data[2 * at + 1]}`
            : Array.isArray(cell) ? cell[1] : `${mark}, ${trace.text[at]}`;
          this.found.push({ time: times[at], frame, words, key: [`subflow ${trace.meta.subflow}`, `mark ${mark}`] });
        }
      }
      this.found.sort((one, other) => one.time - other.time || one.frame - other.frame);
      return this.found;
    }

    step(way) {
      const shown = this.stops.filter((each) => !each.key.some((name) => this.connection.hidden.has(name)));
      if (!shown.length) return;
      this.at = (this.at + way + shown.length + (this.at < 0 && way < 0 ? 1 : 0)) % shown.length;
      const stop = shown[this.at];
      this.connection.cursor = stop.time;
      this.connection.keepInSight(stop.time);
      this.connection.redraw();
      this.say(stop.frame, stop.time, stop.words);
    }

    key(event) {
      if (event.ctrlKey || event.altKey || event.metaKey || event.target !== this.plot) return;
      const range = this.drawn ? this.plot.layout.xaxis.range.map(Number) : [0, 1];
      const width = range[1] - range[0], middle = (range[0] + range[1]) / 2;
      const to = (left, right) => this.connection.zoom([left, right]);
      const actions = {
        ArrowLeft: () => to(range[0] - width / 5, range[1] - width / 5),
        ArrowRight: () => to(range[0] + width / 5, range[1] + width / 5),
        "+": () => to(middle - width / 4, middle + width / 4),
        "=": () => to(middle - width / 4, middle + width / 4),
        "-": () => to(middle - width, middle + width),
        0: () => this.connection.reset(),
        n: () => this.step(1),
        p: () => this.step(-1),
      };
      const action = actions[event.key];
      if (action) {
        event.preventDefault();
        action();
      }
    }
  }

  class Connection {
    constructor(section) {
      this.section = section;
      this.data = JSON.parse(section.querySelector("script").textContent);
      this.hidden = new Set();
      this.range = undefined;
      this.cursor = undefined;
      this.pictures = [...section.querySelectorAll("figure[data-figure]")].map((each) => new Picture(this, each));
      for (const box of section.querySelectorAll(".legend input")) {
        box.addEventListener("change", () => {
          this.hidden[box.checked ? "delete" : "add"](box.value);
          this.redraw();
        });
      }
      for (const button of section.querySelectorAll("button.goto")) {
        button.addEventListener("click", () => this.goto(Number(button.dataset.frame), Number(button.dataset.time)));
      }
      const sequence = section.querySelector("details.sequence");
      sequence?.addEventListener("toggle", () => sequence.open && this.sequence());
      this.diagram = sequence;
    }

    markName(mark) {
      return this.section.querySelector(`.legend input[value="mark ${mark}"]`)?.dataset.name ?? mark;
    }

    redraw() {
      for (const each of this.pictures) if (each.drawn) each.draw();
    }

    zoom(range, from) {
      this.range = range;
      for (const each of this.pictures) {
        if (!each.drawn || each === from) continue;
        const now = each.plot.layout.xaxis.range;
        const wanted = range ?? each.source.layout.xaxis.range;
        if (Math.abs(now[0] - wanted[0]) + Math.abs(now[1] - wanted[1]) < 1e-12) continue;
        Plotly.relayout(each.plot, { "xaxis.range": wanted.slice() });
      }
    }

    reset() {
      this.range = this.cursor = undefined;
      for (const each of this.pictures) {
        if (!each.drawn) continue;
        each.fresh = true;
        each.draw();
      }
    }

    get duration() {
      return this.data.duration || 1;
    }

    keepInSight(time) {
      const range = this.range;
      if (range && (time < range[0] || time > range[1])) {
        const half = (range[1] - range[0]) / 2;
        this.range = [time - half, time + half];
      }
    }

    /* Where a frame is: zoomed in, with a line at its time. */
    goto(frame, time) {
      const half = this.duration / 20;
      this.range = [time - half, time + half];
      this.cursor = time;
      const picture = this.pictures[0];
      if (!picture) return;
      this.redraw();
      picture.say(frame, time, "");
      picture.plot.scrollIntoView({ block: "center" });
      picture.plot.focus({ preventScroll: true });
      if (!picture.drawn) picture.draw();
    }

    /* A point was chosen: say which, and show it in the sequence diagram if that is open. */
    point(frame, time, picture) {
      picture.say(frame, time, "");
      const row = this.diagram?.open ? this.diagram.querySelector(`tr[data-frame="${frame}"]`) : null;
      for (const each of this.section.querySelectorAll("tr.here")) each.classList.remove("here");
      if (row) {
        row.classList.add("here");
        row.scrollIntoView({ block: "center" });
      }
    }

    sequence() {
      const place = this.diagram.querySelector(".scroll");
      if (place.firstChild) return;
      const { hosts, lanes, rows, left_out: missing } = this.data.sequence;
      const table = element("table"), top = element("tr"), body = element("tbody");
      for (const text of ["frame", "seconds"]) top.append(element("th", text, "n"));
      for (const lane of lanes) top.append(element("th", `${lane.name}: ${hosts[0]} | ${hosts[1]}`));
      rows.forEach(([frame, seconds, subflow, lane, sender, words], at) => {
        if (missing && at === this.data.sequence.break) {
          const row = element("tr"), cell = element("td", `${missing} events are left out here`, "dim");
          cell.colSpan = 2 + lanes.length;
          row.append(cell);
          body.append(row);
        }
        const row = element("tr");
        row.dataset.frame = frame;
        const cell = element("td", undefined, "n"), button = element("button", String(frame));
        button.type = "button";
        button.title = "show it in the pictures";
        button.addEventListener("click", () => this.goto(frame, seconds));
        cell.append(button);
        row.append(cell, element("td", seconds.toFixed(6), "n"));
        lanes.forEach((_, place) => {
          const mine = place === lane;
          const found = element("td", undefined, `lane${mine ? " used" : ""} s${place % 8}`);
          if (mine) {
            const way = sender > 0 ? "right" : sender < 0 ? "left" : "";
            const arrow = element("span", undefined, `arrow ${way}`);
            if (lane === lanes.length - 1 && lanes[lane].name.endsWith("later")) arrow.append(`${subflow}: `);
            arrow.append(element("code", words));
            found.append(arrow);
          }
          row.append(found);
        });
        body.append(row);
      });
      const head = element("thead");
      head.append(top);
      table.append(head, body);
      place.append(table);
      this.diagram.dataset.state = "drawn";
    }
  }

  const connections = new Map();
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const section = target.closest("details.connection");
      if (!connections.has(section) && isIntersecting) connections.set(section, new Connection(section));
      const picture = connections.get(section)?.pictures.find((each) => each.figure === target);
      if (!picture) continue;
      picture.visible = isIntersecting;
      if (isIntersecting && !picture.drawn) picture.draw();
    }
  }, { rootMargin: "300px" });

  const prepare = (section) => {
    if (!section.querySelector("script")) return;
    if (!connections.has(section)) connections.set(section, new Connection(section));
    for (const each of section.querySelectorAll("figure[data-figure]")) watch.observe(each);
  };
  for (const section of document.querySelectorAll("details.connection")) {
    if (section.open) prepare(section);
    section.addEventListener("toggle", () => section.open && prepare(section));
  }

  /* A link to what lies in a closed part opens it. */
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
    target?.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  const everything = () => [...connections.values()].flatMap((each) => each.pictures);
  const repaint = () => everything().forEach((each) => each.drawn && each.draw());
  media.addEventListener("change", repaint);
  document.querySelector("button.theme")?.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    repaint();
  });
  addEventListener("beforeprint", () => {
    printing = true;
    for (const section of document.querySelectorAll("details.connection[open]")) prepare(section);
    for (const each of everything()) if (each.connection.section.open) each.paint();
  });
  addEventListener("afterprint", () => {
    printing = false;
    repaint();
    Picture.queue.then(() => everything().forEach((each) => each.drawn && each.plot.offsetParent && Plotly.Plots.resize(each.plot)));
  });
})();
