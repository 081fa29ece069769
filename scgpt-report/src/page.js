// Draws every map of points of the page over its picture, from the JSON beside it.
// Names come from files: they are only ever set as text.
(() => {
  "use strict";
  const LARGE = 2000, HUES = 10, COLOURS = 30, STEPS = 16;
  const MARKS = ["circle", "triangle", "diamond"];

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const number = (value) =>
    Number.isFinite(value) ? String(Number(value.toPrecision(5))) : "missing";
  const element = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  // The parts of a column, each of one colour: name, colour (a function, as themes change), mark, and
  // the numbers of its points.
  function parts(column, n) {
    const grey = () => css("--other");
    if (column.legend) {
      const made = column.legend.map(([name, , paint]) => ({
        name, points: [],
        colour: typeof paint === "string" ? () => paint : () => css("--c" + (paint % COLOURS)),
        mark: typeof paint === "string" ? 0 : Math.floor((paint % COLOURS) / HUES),
      }));
      const unknown = { name: "missing", colour: grey, mark: 0, points: [] };
      for (let i = 0; i < n; i++) (made[column.codes[i]] || unknown).points.push(i);
      if (unknown.points.length) made.push(unknown);
      return made;
    }
    const [low, high] = column.scale, last = STEPS - 1;
    const made = Array.from({ length: STEPS }, (_, step) => ({
      name: number(low + ((high - low) * step) / last), colour: () => css("--r" + step), mark: 0, points: [],
    }));
    const unknown = { name: "missing", colour: grey, mark: 0, points: [] };
    for (let i = 0; i < n; i++) {
      const value = column.values[i];
      const share = high > low ? (value - low) / (high - low) : 0.5;
      const step = Math.round(Math.min(Math.max(share, 0), 1) * last);
      (Number.isFinite(value) ? made[step] : unknown).points.push(i);
    }
    return unknown.points.length ? [unknown, ...made] : made;
  }

  function map(figure, data) {
    const raw = new Uint16Array(bytes(data.places));
    const n = raw.length / 2;
    const at = (i) => [0, 1].map((axis) => {
      const [low, high] = data.range[axis];
      return low + ((high - low) * raw[2 * i + axis]) / 65535;
    });
    for (const column of data.columns) {
      if (column.codes instanceof Uint16Array || column.values instanceof Float32Array) continue;
      if (column.legend) column.codes = new Uint16Array(bytes(column.codes));
      else column.values = new Float32Array(bytes(column.values));
    }
    const size = n > 20000 ? 2.5 : n > LARGE ? 4 : n > 300 ? 6 : 9;
    const value = (column, i) => column.legend
      ? (column.legend[column.codes[i]] || ["missing"])[0] : number(column.values[i]);

    let chosen = data.first, shown = [], hidden = new Set();
    const caption = figure.querySelector("figcaption");
    const menu = element("select", {});
    data.columns.forEach((column, i) => menu.append(new Option(column.name, i)));
    menu.value = chosen;
    const button = (text, title, act) => {
      const made = element("button", { type: "button", title }, text);
      made.addEventListener("click", act);
      return made;
    };
    const tools = element("div", { class: "tools" },
      element("label", {}, "Colour by ", menu),
      button("+", "Zoom in", () => zoom(0.6)), button("−", "Zoom out", () => zoom(1 / 0.6)),
      button("Reset", "Show all points and legend entries again", () => reset()),
      button("PNG", "Save the map as a PNG picture", () => save("canvas")),
      button("SVG", "Save the map as an SVG drawing", () => save("svg")));
    const plot = element("div", {
      class: "plot", tabindex: "0", role: "img",
      "aria-keyshortcuts": "+ - ArrowLeft ArrowRight ArrowUp ArrowDown 0",
    });
    const legend = element("div", { class: "legend" });
    const help = element("p", { class: "help" },
      "Point at a cell to read its name. Drag to move; Ctrl and the wheel zoom, and once the map is " +
      "clicked, the wheel alone; with the keyboard, + − 0 and the arrows.");
    figure.insertBefore(element("div", { class: "map" }, tools, plot, legend, help), caption);
    figure.classList.add("drawn");
    const chart = echarts.init(plot);

    const tip = (event) => {
      const i = shown[Number(event.seriesId)].points[event.dataIndex];
      const columns = [data.columns[chosen], ...data.columns.filter((_, c) => c !== chosen)];
      const box = element("div", { class: "tip" });
      if (data.names.length) box.append(element("b", {}, data.names[i]));
      for (const column of columns.filter(Boolean).slice(0, 8))
        box.append(element("div", {}, column.name + ": " + value(column, i)));
      if (columns.length > 8) box.append(element("div", {}, "…"));
      return box;
    };
    const axis = (which, windowed) => {
      const [low, high] = data.range[which], margin = (high - low) * 0.03;
      const line = { lineStyle: { color: css("--line") } };
      return {
        type: "value", name: data.axes[which], nameLocation: "middle", nameGap: which ? 38 : 26,
        min: windowed ? windowed[0] : low - margin, max: windowed ? windowed[1] : high + margin,
        nameTextStyle: { color: css("--soft") }, axisLabel: { color: css("--soft"), showMinLabel: false, showMaxLabel: false,
          formatter: (v) => String(Number(v.toPrecision(3))) },
        axisLine: { show: true, onZero: false, ...line }, axisTick: { show: true, ...line }, splitLine: { show: false },
      };
    };
    // Parts that are seen; the library cannot draw many points of which there are none.
    const seen = () => shown.map((part, s) => ({ part, s })).filter(({ part, s }) => !hidden.has(s) && part.points.length);
    const series = () => seen().map(({ part, s }) => {
      const places = new Float32Array(2 * part.points.length);
      part.points.forEach((i, k) => places.set(at(i), 2 * k));
      return {
        id: String(s), name: String(s), type: "scatter", data: places,
        dimensions: ["x", "y"], symbol: MARKS[part.mark], symbolSize: part.mark ? size * 1.25 : size,
        large: n > LARGE, largeThreshold: 0, itemStyle: { color: part.colour(), opacity: 0.85 },
        emphasis: { itemStyle: { opacity: 1, borderColor: css("--ink"), borderWidth: 1 } },
      };
    });
    const zoomed = (i, axisIndex) => ({
      id: "zoom" + i, type: "inside", ["xy"[i] + "AxisIndex"]: axisIndex, filterMode: "none",
      zoomOnMouseWheel: document.activeElement === plot ? true : "ctrl", minSpan: 0.2,
    });
    function describe() {
      const column = data.columns[chosen];
      const what = !column ? "" : column.legend
        ? shown.slice(0, 12).map((part) => part.name + " " + part.points.length).join(", ") +
          (shown.length > 12 ? ", and " + (shown.length - 12) + " more" : "")
        : "from " + number(column.scale[0]) + " to " + number(column.scale[1]);
      plot.setAttribute("aria-label", "Map of " + n + " points" +
        (column ? ", coloured by " + column.name + ": " + what : "") + ". " + caption.textContent);
    }
    function drawLegend() {
      const column = data.columns[chosen];
      legend.replaceChildren();
      if (column && !column.legend) {
        const bar = element("div", { class: "ramp" });
        bar.style.background = "linear-gradient(to right," + Array.from({ length: STEPS }, (_, step) => css("--r" + step)).join(",") + ")";
        const [low, high] = column.scale;
        legend.append(element("span", {}, "≤ " + number(low)), bar, element("span", {}, "≥ " + number(high)));
        const missing = shown.find((part) => part.name === "missing");
        if (missing) {
          const sign = element("i", { class: "mark0" });
          sign.style.background = missing.colour();
          legend.append(element("span", {}, sign, "missing ", element("small", {}, String(missing.points.length))));
        }
        return;
      }
      shown.forEach((part, s) => {
        const sign = element("i", { class: "mark" + part.mark });
        sign.style.background = part.colour();
        const entry = element("button",
          { type: "button", "aria-pressed": String(!hidden.has(s)), title: "Show or hide; double click shows it alone" },
          sign, part.name + " ", element("small", {}, String(part.points.length)));
        const toggled = () => {
          [...legend.children].forEach((other, o) => other.setAttribute("aria-pressed", String(!hidden.has(o))));
          chart.setOption({ series: series() }, { replaceMerge: ["series"] });
        };
        entry.addEventListener("click", () => { hidden.delete(s) || hidden.add(s); toggled(); });
        entry.addEventListener("dblclick", () => {
          hidden = new Set(shown.map((_, o) => o).filter((o) => o !== s)); toggled();
        });
        legend.append(entry);
      });
    }
    function draw() {
      chart.setOption({
        animation: false, grid: { left: 56, right: 12, top: 12, bottom: 46 },
        textStyle: { fontFamily: "inherit" },
        xAxis: axis(0), yAxis: axis(1), dataZoom: [zoomed(0, 0), zoomed(1, 0)],
        tooltip: { trigger: "item", confine: true, formatter: tip, backgroundColor: css("--card"),
          borderColor: css("--line"), textStyle: { color: css("--ink"), fontSize: 13 } },
        series: series(),
      }, { replaceMerge: ["series"] });
      drawLegend();
      describe();
    }
    function colour(column) {
      chosen = column;
      hidden = new Set();
      shown = data.columns[chosen] ? parts(data.columns[chosen], n)
        : [{ name: "points", colour: () => css("--c0"), mark: 0, points: [...Array(n).keys()] }];
      draw();
    }
    const windows = () => chart.getOption().dataZoom.map(({ start, end }) => [start, end]);
    const look = (windows) => windows.forEach(([start, end], dataZoomIndex) =>
      chart.dispatchAction({ type: "dataZoom", dataZoomIndex, start, end }));
    // A window of at most the whole, of which it shows `factor` of what it did, moved by `by` of it.
    const moved = ([start, end], factor, by) => {
      const width = Math.min((end - start) * factor, 100);
      const from = (start + end) / 2 + by * (end - start) - width / 2;
      const begin = Math.min(Math.max(from, 0), 100 - width);
      return [begin, begin + width];
    };
    const zoom = (factor) => look(windows().map((window) => moved(window, factor, 0)));
    const pan = (x, y) => look(windows().map((window, i) => moved(window, 1, i ? y : x)));
    function reset() {
      look([[0, 100], [0, 100]]);
      hidden = new Set();
      draw();
    }
    // Saved with its legend, and with the part of the plane that is seen.
    function save(renderer) {
      const [width, height] = [900, 620];
      const copy = echarts.init(element("div", {}), null, { renderer, width, height });
      const ranges = windows().map(([start, end], i) => {
        const [low, high] = data.range[i], margin = (high - low) * 0.03;
        const full = high - low + 2 * margin;
        return [low - margin + (full * start) / 100, low - margin + (full * end) / 100];
      });
      const numeric = data.columns[chosen] && !data.columns[chosen].legend;
      const named = seen().filter(({ part, s }) => part.name === "missing" || !numeric || s % 3 === 0).slice(0, 30);
      copy.setOption({
        animation: false, backgroundColor: css("--paper"), grid: { left: 60, right: 270, top: 20, bottom: 50 },
        xAxis: axis(0, ranges[0]), yAxis: axis(1, ranges[1]), series: series(),
        legend: { orient: "vertical", left: width - 255, top: 16, itemWidth: 12, itemHeight: 12,
          textStyle: { color: css("--ink"), width: 215, overflow: "truncate" },
          data: named.map(({ s }) => String(s)), formatter: (s) => shown[s].name },
      });
      const link = element("a", { download: "map." + (renderer === "svg" ? "svg" : "png"),
        href: copy.getDataURL({ pixelRatio: 2, backgroundColor: css("--paper") }) });
      link.click();
      copy.dispose();
    }

    menu.addEventListener("change", () => colour(Number(menu.value)));
    const keys = { "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6), 0: () => reset(),
      ArrowLeft: () => pan(-0.2, 0), ArrowRight: () => pan(0.2, 0), ArrowUp: () => pan(0, 0.2), ArrowDown: () => pan(0, -0.2) };
    plot.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
    plot.addEventListener("pointerdown", () => plot.focus({ preventScroll: true }));
    const wheels = () => chart.setOption({ dataZoom: [zoomed(0, 0), zoomed(1, 0)] });
    plot.addEventListener("focus", wheels);
    plot.addEventListener("blur", wheels);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    new ResizeObserver(() => chart.resize()).observe(plot);
    colour(chosen);
  }

  const earlier = [];
  for (const script of document.querySelectorAll('figure > script[type="application/json"]')) {
    const figure = script.parentElement;
    try {
      const data = JSON.parse(script.textContent);
      for (const part of ["field", "told"])
        if (typeof data[part] === "number") data[part] = earlier[data[part]][part];
      earlier.push(data);
      map(figure, { first: data.first, ...data.field, ...data.told });
    } catch (error) {
      // The picture stays.
      figure.classList.remove("drawn");
      const half = figure.querySelector(".map");
      if (half) half.remove();
      console.error(error);
    }
  }
})();
