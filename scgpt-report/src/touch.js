// Makes charts and tables of the page touchable: values where they are pointed at, legend entries that
// switch, saving, sorting. Everything is there without it. Texts come from files: they are only ever set
// as text.
(() => {
  "use strict";
  const element = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const number = (value) => String(Number(value.toPrecision(4)));

  // Numbers at places of a chart with axes, and the points of its series.
  function plotted(svg) {
    if (!svg.dataset.plot) return null;
    const [left, top, width, height] = svg.dataset.plot.split(" ").map(Number);
    const axis = (text) => {
      const [low, high, log] = text.split(" ");
      return (share) => {
        const value = Number(low) + share * (Number(high) - Number(low));
        return log ? 10 ** value : value;
      };
    };
    const [x, y] = [axis(svg.dataset.x), axis(svg.dataset.y)];
    const series = [...svg.querySelectorAll("[data-line]")].map((path) => ({
      path, name: path.dataset.line,
      points: [...path.getAttribute("d").matchAll(/[ML]([-\d.]+) ([-\d.]+)/g)].map((it) => [Number(it[1]), Number(it[2])]),
    }));
    return {
      // What is drawn nearest to a horizontal place of the plot: a line of text for each series.
      at(place) {
        if (place < left - 5 || place > left + width + 5) return null;
        const near = (points, place) => points.reduce((best, it) =>
          Math.abs(it[0] - place) < Math.abs(best[0] - place) ? it : best, [Infinity, 0]);
        const seen = series.filter(({ path, points }) => points.length && path.closest("[style*='display: none']") === null);
        const there = near(seen.map(({ points }) => near(points, place)), place)[0];
        const found = seen.map(({ name, points }) => [name, near(points, there)]).filter(([, it]) => Math.abs(it[0] - there) <= 3);
        if (!found.length) return null;
        const value = (it) => number(y(1 - (it[1] - top) / height));
        return [number(x((there - left) / width)), ...found.slice(0, 12).map(([name, it]) => name + ": " + value(it))];
      },
    };
  }

  function chart(figure, svg) {
    // Titles are shown by this script, at once, and not a second time by the browser.
    for (const title of [...svg.querySelectorAll("title")]) {
      const said = title.parentElement;
      said.dataset.said = title.textContent;
      title.remove();
    }
    const tip = element("div", { class: "tip", hidden: "", "aria-hidden": "true" });
    const plot = plotted(svg);
    const show = (lines, event) => {
      tip.replaceChildren(...lines.map((line) => element("div", {}, line)));
      tip.hidden = false;
      const box = figure.getBoundingClientRect();
      const x = Math.min(event.clientX - box.left + 14, box.width - tip.offsetWidth - 4);
      tip.style.left = Math.max(x, 0) + "px";
      tip.style.top = Math.max(event.clientY - box.top - tip.offsetHeight - 10, 0) + "px";
    };
    svg.addEventListener("pointermove", (event) => {
      const said = event.target.closest("[data-said]");
      if (said && !(plot && said.tagName === "g")) return show([said.dataset.said], event);
      const box = svg.getBoundingClientRect();
      const lines = plot && plot.at((event.clientX - box.left) / box.width * svg.viewBox.baseVal.width);
      if (lines) show(lines, event);
      else tip.hidden = true;
    });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; });

    const entries = [...svg.querySelectorAll(".entry")];
    for (const entry of entries) {
      const parts = [...svg.querySelectorAll("[data-series]")].filter((part) =>
        part.dataset.series === entry.dataset.series && part !== entry);
      if (!parts.length || entries.length < 2) continue;
      for (const [name, value] of [["tabindex", "0"], ["role", "button"], ["aria-pressed", "true"]]) entry.setAttribute(name, value);
      const toggle = () => {
        const isOn = entry.classList.toggle("off");
        entry.setAttribute("aria-pressed", String(!isOn));
        for (const part of parts) part.style.display = isOn ? "none" : "";
      };
      entry.addEventListener("click", toggle);
      entry.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        toggle();
      });
      // An image has no parts that can be reached.
      svg.setAttribute("role", "group");
    }

    const save = (name, act) => {
      const made = element("button", { type: "button", title: "Save the figure as " + name }, name);
      made.addEventListener("click", act);
      return made;
    };
    const saves = element("div", { class: "saves" }, save("PNG", () => png(svg)), save("SVG", () => hand(drawing(svg), "svg")));
    figure.append(tip, saves);
    figure.classList.add("touched");
  }

  // The drawing as a file of its own: what the style sheet says is written into it.
  function drawing(svg) {
    const copy = svg.cloneNode(true), css = getComputedStyle(document.documentElement);
    const of = [svg, ...svg.querySelectorAll("*")], to = [copy, ...copy.querySelectorAll("*")];
    const kept = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "stroke-linecap",
      "stroke-linejoin", "paint-order", "font-size", "font-family", "opacity", "display"];
    of.forEach((one, i) => {
      const style = getComputedStyle(one);
      to[i].setAttribute("style", kept.map((name) => name + ":" + style.getPropertyValue(name)).join(";"));
    });
    const [, , width, height] = svg.getAttribute("viewBox").split(" ");
    for (const [name, value] of [["xmlns", "http://www.w3.org/2000/svg"], ["width", width], ["height", height]]) copy.setAttribute(name, value);
    copy.style.background = css.getPropertyValue("--paper").trim();
    return "data:image/svg+xml;charset=utf-8," + encodeURIComponent(new XMLSerializer().serializeToString(copy));
  }
  function png(svg) {
    const image = new Image();
    image.onload = () => {
      const canvas = element("canvas", {});
      [canvas.width, canvas.height] = [2 * image.width, 2 * image.height];
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      hand(canvas.toDataURL("image/png"), "png");
    };
    image.src = drawing(svg);
  }
  const hand = (href, kind) => element("a", { href, download: "figure." + kind }).click();

  // Sorts the rows of a table by a column, as numbers where all cells begin with one.
  function sortable(table) {
    const [heading, ...rows] = [...table.rows];
    if (rows.length < 2) return;
    [...heading.cells].forEach((head, column) => {
      const act = element("button", { type: "button", title: "Sort by this column" }, ...head.childNodes);
      head.replaceChildren(act);
      act.addEventListener("click", () => {
        const isUp = head.getAttribute("aria-sort") === "descending" || (column === 0 && !head.hasAttribute("aria-sort"));
        const text = (row) => row.cells[column].textContent.trim();
        const value = (row) => parseFloat(text(row).replace("\u2212", "-").replace(/(\d)[\u2009\u202f ](?=\d)/g, "$1"));
        const given = rows.filter((row) => text(row) && text(row) !== "\u2013");
        const areNumbers = given.length > 0 && given.every((row) => !Number.isNaN(value(row)));
        const order = (a, b) => areNumbers ? value(a) - value(b) : text(a).localeCompare(text(b), undefined, { numeric: true });
        given.sort((a, b) => isUp ? order(a, b) : order(b, a));
        // What is missing stays last.
        heading.parentElement.append(...given, ...rows.filter((row) => !given.includes(row)));
        for (const other of heading.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
      });
    });
  }

  for (const svg of document.querySelectorAll("figure:not(.drawn) > svg")) chart(svg.parentElement, svg);
  for (const table of document.querySelectorAll("table.columns")) sortable(table);
})();
