"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const stage = document.getElementById("stage");
  const chart = stage.querySelector("svg.chart");
  const panel = document.getElementById("panel");
  const TONE = { "more risk": "more", "less risk": "less", equal: "equal" };
  const states = new Map(data.states.map((state) => [state.path, state]));
  const shapes = new Map([...chart.querySelectorAll(".state[data-path]")].map((shape) => [shape.dataset.path, shape]));
  const wires = [...chart.querySelectorAll(".wire[data-rows]")].map((shape) => ({ shape, rows: shape.dataset.rows.split(" ").map(Number) }));
  const within = (path, ancestor) => path === ancestor || path.startsWith(ancestor + ".");
  let pinned = null;

  // -- zoom and pan: the view box moves, so lines stay sharp ----------------------------------------------------------
  const [left, top, ...extent] = chart.getAttribute("viewBox").split(" ").map(Number);
  const size = { w: extent[0], h: extent[1] };
  let view = { x: left, y: top, ...size };
  const show = () => chart.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
  const fit = () => { view = { x: left, y: top, ...size }; show(); };
  const scale = () => Math.max(view.w / stage.clientWidth, view.h / stage.clientHeight);
  const toChart = (clientX, clientY) => new DOMPoint(clientX, clientY).matrixTransform(chart.getScreenCTM().inverse());
  const zoom = (factor, at) => {
    const w = Math.min(size.w * 3, Math.max(size.w / 14, view.w * factor));
    const used = w / view.w;
    view = { x: at.x - (at.x - view.x) * used, y: at.y - (at.y - view.y) * used, w, h: view.h * used };
    show();
  };
  const middle = () => ({ x: view.x + view.w / 2, y: view.y + view.h / 2 });
  stage.addEventListener("wheel", (event) => {
    if (!(event.ctrlKey || event.metaKey) || panel.contains(event.target)) return;
    event.preventDefault();
    zoom(Math.exp(event.deltaY * 0.0022), toChart(event.clientX, event.clientY));
  }, { passive: false });
  const fingers = new Map();
  let moved = 0;
  let gap = 0;
  stage.addEventListener("pointerdown", (event) => {
    if (panel.contains(event.target)) return;
    fingers.set(event.pointerId, event);
    moved = 0;
    gap = 0;
  });
  stage.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    fingers.set(event.pointerId, event);
    const dx = event.clientX - before.clientX;
    const dy = event.clientY - before.clientY;
    moved += Math.abs(dx) + Math.abs(dy);
    if (moved < 5) return;
    if (!stage.hasPointerCapture(event.pointerId)) stage.setPointerCapture(event.pointerId);
    stage.classList.add("moving");
    if (fingers.size === 2) {
      const [one, two] = [...fingers.values()];
      const now = Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
      if (gap) zoom(gap / now, toChart((one.clientX + two.clientX) / 2, (one.clientY + two.clientY) / 2));
      gap = now;
      return;
    }
    view.x -= dx * scale();
    view.y -= dy * scale();
    show();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => { fingers.delete(event.pointerId); stage.classList.remove("moving"); });
  }
  stage.addEventListener("dblclick", (event) => { if (!panel.contains(event.target)) zoom(0.6, toChart(event.clientX, event.clientY)); });

  // -- light ----------------------------------------------------------------------------------------------------------
  const touches = (row, path) => within(path, row.source) || row.dest === path || (row.dest && within(path, row.dest) && data.entered[row.dest].includes(path));
  const rowsOf = (path) => data.rows.map((row, number) => (touches(row, path) ? number : -1)).filter((number) => number >= 0);
  const light = (rows, paths) => {
    const lit = new Set(rows);
    const ends = new Set(paths);
    for (const number of rows) {
      const row = data.rows[number];
      for (const path of shapes.keys()) {
        if (path === row.source || (row.dest && data.entered[row.dest].includes(path))) ends.add(path);
      }
    }
    chart.classList.add("focused");
    for (const wire of wires) wire.shape.classList.toggle("lit", wire.rows.some((number) => lit.has(number)));
    for (const [path, shape] of shapes) shape.classList.toggle("lit", ends.has(path));
  };
  const calm = () => {
    if (pinned) pinned.light();
    else chart.classList.remove("focused");
  };
  const clear = () => {
    pinned = null;
    panel.hidden = true;
    for (const shape of document.querySelectorAll(".picked")) shape.classList.remove("picked");
    calm();
  };
  const pin = (what) => {
    clear();
    pinned = what;
    what.light();
    what.mark();
    panel.replaceChildren(...what.describe());
    panel.hidden = false;
    panel.scrollTop = 0;
  };

  // -- words ----------------------------------------------------------------------------------------------------------
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
  };
  const link = (path) => make("button", { class: "link", onclick: () => pin(state(path)) }, path);
  const closing = () => make("button", { class: "close", "aria-label": "close", onclick: clear }, "✕");
  const described = (number, { from = true } = {}) => {
    const row = data.rows[number];
    const guards = row.guards.flatMap((guard, index) => [index ? ", " : "", make("span", { class: "guard-name", title: data.guards[guard] }, guard)]);
    const commands = row.commands.flatMap((command, index) => [index ? ", " : "", make("span", { class: "guard-name", title: data.commands[command] }, command)]);
    return make("div", { class: `row ${TONE[row.direction]}` },
      make("div", {}, make("b", {}, row.event), ...(guards.length ? [" [", ...guards, "]"] : [])),
      make("div", {}, ...(from ? [link(row.source), " "] : []), make("span", { class: "to" }, "→ "), row.dest ? link(row.dest) : "stays"),
      make("div", { class: "why" }, row.summary),
      commands.length ? make("div", { class: "does" }, "then ", ...commands) : null);
  };
  const section = (title, rows, options) => (rows.length ? [make("h3", {}, title), ...rows.map((number) => described(number, options))] : []);

  const state = (path) => {
    const item = states.get(path);
    const rows = rowsOf(path);
    return {
      light: () => light(rows, [path]),
      mark: () => shapes.get(path)?.classList.add("picked"),
      describe: () => {
        const facts = [];
        if (item.closes_gate) facts.push("closes the gate");
        if (item.size_bps !== null) facts.push(`size × ${item.size_bps / 10000}`);
        if (item.leverage_bps !== null) facts.push(`leverage cap × ${item.leverage_bps / 10000}`);
        if (data.live.some((leaf) => within(leaf, path))) facts.push("live now");
        return [
          closing(), make("h2", {}, path), make("p", {}, item.summary), facts.length ? make("p", { class: "fact" }, facts.join(" · ")) : "",
          ...section("leads to", rows.filter((number) => within(path, data.rows[number].source)), { from: false }),
          ...section("is reached by", rows.filter((number) => !within(path, data.rows[number].source))),
        ];
      },
    };
  };
  const wire = (rows) => ({
    light: () => light(rows, []),
    mark: () => { for (const number of rows) document.querySelector(`#rows tr[data-row="${number}"]`)?.classList.add("picked"); },
    describe: () => [closing(), make("h2", {}, [...new Set(rows.map((number) => data.rows[number].event))].join(", ")), ...rows.map((number) => described(number))],
  });

  // -- what the pointer and the keyboard do -----------------------------------------------------------------------------
  for (const [path, shape] of shapes) {
    shape.addEventListener("mouseenter", () => state(path).light());
    shape.addEventListener("mouseleave", calm);
    shape.addEventListener("click", () => { if (moved < 5) pin(state(path)); });
    shape.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pin(state(path)); } });
  }
  for (const { shape, rows } of wires) {
    for (const line of [...shape.querySelectorAll("path:not(.head)")]) {
      const hit = line.cloneNode();
      hit.setAttribute("class", "hit");
      shape.append(hit);
    }
    shape.addEventListener("mouseenter", () => light(rows, []));
    shape.addEventListener("mouseleave", calm);
    shape.addEventListener("click", () => { if (moved < 5) pin(wire(rows)); });
  }
  stage.addEventListener("click", (event) => { if (moved < 5 && !event.target.closest(".state[data-path], .wire[data-rows], #panel")) clear(); });
  const table = document.getElementById("rows");
  table.addEventListener("click", (event) => {
    const line = event.target.closest("tr[data-row]");
    if (!line) return;
    pin(wire([Number(line.dataset.row)]));
    stage.scrollIntoView({ behavior: "smooth", block: "nearest" });
  });

  const words = document.getElementById("words");
  const direction = document.getElementById("direction");
  const count = document.getElementById("count");
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const group of table.tBodies) {
      let some = false;
      for (const line of group.querySelectorAll("tr[data-row]")) {
        const text = `${line.dataset.scope} ${line.textContent}`.toLowerCase();
        const fits = wanted.every((word) => text.includes(word)) && (!direction.value || line.dataset.direction === direction.value);
        line.hidden = !fits;
        some ||= fits;
        shown += fits;
      }
      group.hidden = !some;
    }
    count.textContent = `${shown} of ${data.rows.length}`;
  };
  words.addEventListener("input", filter);
  direction.addEventListener("change", filter);
  filter();

  const remember = (theme) => { try { localStorage.setItem("titan-chart-theme", theme); } catch { /* a page from disk may have no storage */ } };
  const dress = (theme) => { if (theme === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme; };
  const themes = ["auto", "light", "dark"];
  let theme = "auto";
  try { theme = localStorage.getItem("titan-chart-theme") || "auto"; } catch { /* as above */ }
  const themeButton = document.getElementById("theme");
  const redress = () => { dress(theme); themeButton.textContent = { auto: "◐ auto", light: "☀ light", dark: "☾ dark" }[theme]; };
  themeButton.addEventListener("click", () => { theme = themes[(themes.indexOf(theme) + 1) % themes.length]; remember(theme); redress(); });
  redress();

  document.getElementById("closer").addEventListener("click", () => zoom(0.75, middle()));
  document.getElementById("farther").addEventListener("click", () => zoom(1 / 0.75, middle()));
  document.getElementById("fit").addEventListener("click", fit);
  document.addEventListener("keydown", (event) => {
    if (event.target.closest?.("input, select")) { if (event.key === "Escape") event.target.blur(); return; }
    if (event.key === "Escape") clear();
    else if (event.key === "+" || event.key === "=") zoom(0.75, middle());
    else if (event.key === "-") zoom(1 / 0.75, middle());
    else if (event.key === "0") fit();
    else if (event.key === "/") { event.preventDefault(); words.focus(); }
  });
  const asked = decodeURIComponent(location.hash.slice(1));
  if (states.has(asked)) pin(state(asked));
})();
