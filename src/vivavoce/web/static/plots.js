// Draws the plots of a page from the table beside them: its first column is the time, and every cell tells its value.
// The points stand side by side in the order of time: many a suite runs ten times in an hour, and then not for days.
"use strict";

const tellers = {
  percent: (value) => `${Math.round(value * 100)} %`,
  ms: (value) => (value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`),
  number: (value) => value.toLocaleString("en").replaceAll(",", "\u202f"),
};
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const told = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const valueOf = (cell) => (cell.dataset.value === "" ? null : Number(cell.dataset.value));

function draw(place) {
  const table = document.getElementById(place.dataset.plot);
  const rows = [...table.tBodies[0].rows];
  const columns = place.dataset.columns.split(" ").map(Number);
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const lines = columns.map((column) => rows.map((row) => valueOf(row.cells[column])));
  if (!lines.some((line) => line.some((value) => value))) return null;
  place.hidden = false;
  const tell = tellers[place.dataset.unit];
  const strokes = [colour("--accent"), colour("--warn")];
  const times = rows.map((row) => new Date(valueOf(row.cells[0])));
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  const whole = place.dataset.unit === "percent";
  const options = {
    width: Math.max(place.clientWidth, 200),
    height: 190,
    cursor: { drag: { x: false, y: false } },
    legend: { live: true },
    scales: { x: { time: false, range: (_, least, most) => [least - 0.5, most + 0.5] }, y: { range: whole ? [0, 1] : (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
    series: [
      { label: "Batch", value: (_, place) => (times[place] ? told.format(times[place]) : "–") },
      ...columns.map((column, place) => ({
        label: names[column],
        stroke: strokes[place],
        width: 2,
        dash: place ? [6, 4] : undefined,
        points: { show: true, size: 6 },
        spanGaps: true,
        value: (_, value) => (value === null ? "–" : tell(value)),
      })),
    ],
    axes: [
      { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100], space: 64, values: (_, places) => places.map((place) => (times[place] ? day.format(times[place]) : "")) },
      { ...axis, size: 64, values: (_, values) => values.map(tell) },
    ],
  };
  const plot = new uPlot(options, [rows.map((_, place) => place), ...lines], place);
  plot.over.addEventListener("click", () => {
    const link = plot.cursor.idx === null || plot.cursor.idx === undefined ? null : rows[plot.cursor.idx].querySelector("a");
    if (link) location.assign(link.href);
  });
  return plot;
}

function drawAll() {
  const drawn = [];
  for (const place of document.querySelectorAll("[data-plot]")) {
    for (const old of place.querySelectorAll(".uplot")) old.remove();
    const plot = draw(place);
    if (plot) drawn.push([place, plot]);
  }
  return drawn;
}

let drawn = drawAll();
const fit = () => drawn.forEach(([place, plot]) => plot.setSize({ width: Math.max(place.clientWidth, 200), height: 190 }));
addEventListener("resize", fit);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawn = drawAll(); });
