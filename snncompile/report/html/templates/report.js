"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const narrow = () => window.innerWidth < 700;
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "toImage"] };

  function draw(chart, index = 0) {
    const plot = chart.querySelector(".plot");
    const [, figure] = data[chart.id].figures[index];
    const layout = structuredClone(figure.layout);
    const names = layout.showlegend === false ? 0 : figure.data.filter((d) => d.name && d.showlegend !== false).length;
    const below = narrow() ? 19 * Math.max(0, names - 2) : 0;  // a legend of one column takes height
    if (narrow()) layout.dragmode = false;
    if (below) {
      layout.height += below;
      layout.margin = { ...layout.margin, t: layout.margin.t + below };
    }
    if (layout.meta?.ratio) {  // a map is as high as its width asks for
      const width = Math.max(plot.clientWidth, Math.min(6000, layout.meta.cells * 7));
      if (width > plot.clientWidth) layout.width = width;  // many chips beside each other: scrolled
      layout.height = Math.round(Math.min(900, Math.max(180, width * layout.meta.ratio + 70))) + below;
    }
    if (layout.meta?.least > plot.clientWidth) layout.width = layout.meta.least;  // scrolled
    plot.style.minHeight = `${layout.height}px`;
    chart.classList.toggle("scrolls", layout.width > plot.clientWidth);
    chart.dataset.drawn = "1";
    return Plotly.react(plot, figure.data, layout, { ...config, displayModeBar: false }).then(() => {
      if (plot.dataset.opens) return;
      plot.dataset.opens = "1";
      plot.on("plotly_click", (event) => {  // a point of a sweep opens its build
        const link = event.points[0]?.customdata?.open;
        if (link) window.open(link);
      });
    });
  }

  function show(value) {
    if (value === null) return "unknown";
    if (typeof value !== "number") return value;
    if (Number.isInteger(value)) return value.toLocaleString("en-US");
    return Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6 ? String(+value.toPrecision(4)) : value.toExponential(3);
  }

  function fill(chart) {
    const place = chart.querySelector(".table");
    if (!place || place.firstChild) return;
    const { columns, rows } = data[chart.id];
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const column of columns) head.appendChild(document.createElement("th")).textContent = column;
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const value of row) {
        const cell = line.insertCell();
        cell.textContent = show(value);
        if (typeof value === "number") cell.className = "n";
      }
    }
    place.appendChild(table);
  }

  const charts = [...document.querySelectorAll(".chart")];
  const visible = (chart) => chart.querySelector(".plot") && chart.offsetParent !== null;
  const todo = () => charts.filter((c) => !c.dataset.drawn && visible(c));
  window.drawAll = () => Promise.all(todo().map((c) => draw(c)));

  for (const chart of charts) {
    const choice = chart.querySelector("select");
    if (choice) choice.addEventListener("change", () => draw(chart, choice.selectedIndex));
    const numbers = chart.querySelector("details.numbers");
    if (!numbers) continue;
    numbers.addEventListener("toggle", () => fill(chart));
    const link = chart.querySelector(".csv");
    link.download = data[chart.id].file;
    link.addEventListener("click", () => {
      link.href = URL.createObjectURL(new Blob([data[chart.id].csv], { type: "text/csv" }));
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }
  for (const build of document.querySelectorAll("details.build")) build.addEventListener("toggle", next);
  window.addEventListener("beforeprint", () => window.drawAll());

  // The charts in view first, then one after the other while nothing else is to do.
  function next() {
    const left = todo();
    if (!left.length) { document.body.dataset.ready = "1"; return; }
    const top = left.find((c) => { const r = c.getBoundingClientRect(); return r.bottom > 0 && r.top < window.innerHeight; });
    draw(top || left[0]).then(() => setTimeout(next, 0));
  }
  next();
})();
