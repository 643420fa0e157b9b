"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

// Plots: their specifications hold all data, so nothing is loaded.
addEventListener("bundled", () => {
  for (const [id, spec] of Object.entries(data.plots)) {
    // Legends below each other: side by side the second would be cut off on a phone.
    const config = { legend: { layout: { bottom: { direction: "vertical" } } } };
    vegaEmbed(`#${id}`, spec, { renderer: "svg", actions: false, config }).then(() => {
      document.getElementById(id).dataset.drawn = "yes";
    });
  }
});
if (globalThis.vegaEmbed) dispatchEvent(new Event("bundled"));

// What to ship: the rule of crnn/report/recommendation.py.
function value(row, name) { const found = row[name]; return found === null || found === undefined ? Infinity : found; }

function choose(choices, limits, minimize) {
  const criteria = [...new Set(["cer", "memory", "bytes", ...Object.keys(limits)])];
  const before = (one, other) => {
    const score = one[1].score[minimize] - other[1].score[minimize];
    if (score) return score;
    for (const name of criteria) {
      const left = value(one[1], name), right = value(other[1], name);
      if (left !== right) return left - right;
    }
    return 0;
  };
  const keeping = Object.entries(choices.rows).filter(
    ([, row]) => row[minimize] !== null && Object.entries(limits).every(([name, most]) => value(row, name) <= most));
  keeping.sort(before);
  if (!keeping.length) return null;
  const winner = keeping[0][0];
  const names = new Set(keeping.map(([name]) => name));
  return { winner, ties: choices.alike[minimize][winner].filter((name) => names.has(name)) };
}

function shown(name, most) {
  const [factor, unit] = data.units[name];
  return `${Number((most / factor).toPrecision(3))} ${unit}`;
}

function wire(section) {
  const at = Number(section.dataset.run), form = section.querySelector(".wish");
  if (!form) return;
  const said = section.querySelector(".choice");
  const field = (name) => form.elements.namedItem(name);
  const steps = (name) => {
    const rows = Object.values(data.choices[at][field("batch").value].rows);
    return [...new Set(rows.map((row) => row[name]).filter((one) => one !== null))].sort((a, b) => a - b);
  };
  const set = () => {
    // Each step of a slider is the value of a row; the last one is no limit.
    const wish = data.wishes[at][field("batch").value];
    for (const name of data.limits) {
      const values = steps(name), slider = field(name);
      slider.max = values.length;
      slider.value = name in wish ? Math.max(0, values.filter((one) => one <= wish[name]).length - 1) : values.length;
    }
  };
  const show = () => {
    const limits = {};
    for (const name of data.limits) {
      const values = steps(name), place = Number(field(name).value);
      if (place < values.length) limits[name] = values[place];
      field(`${name}-shown`).value = place < values.length ? shown(name, values[place]) : "any";
    }
    const minimize = field("minimize").value;
    const found = choose(data.choices[at][field("batch").value], limits, minimize);
    said.dataset.winner = found ? found.winner : "";
    said.textContent = !found ? `No row keeps all of these limits and has ${minimize} measured.` :
      `Ship ${found.winner}.` + (found.ties.length ? ` No difference in ${minimize} to it is shown for: ${found.ties.join(", ")}.` : "");
  };
  field("batch").addEventListener("change", () => { set(); show(); });
  form.addEventListener("input", show);
  set();
  show();
}

// The table: sort, filter, columns, CSV.
function table(section) {
  const rows = section.querySelector("table.rows"), body = rows.tBodies[0];
  const heads = [...rows.tHead.rows[0].cells], lines = [...body.rows];
  const cell = (line, column) => line.cells[column].dataset.value;
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const sorted = [...lines].sort((one, other) => {
      const left = cell(one, column), right = cell(other, column);
      // What was not measured comes last either way.
      if (left === "" || right === "") return (left === "") - (right === "");
      const order = isNaN(left) || isNaN(right) ? left.localeCompare(right) : left - right;
      return ascending ? order : -order;
    });
    body.append(...sorted);
  }));
  const filter = section.querySelector(".filter"), count = section.querySelector(".count");
  filter.addEventListener("input", () => {
    const word = filter.value.toLowerCase();
    for (const line of lines) line.hidden = !line.textContent.toLowerCase().includes(word);
    count.textContent = `${lines.filter((line) => !line.hidden).length} of ${lines.length} rows`;
  });
  for (const box of section.querySelectorAll("[data-column]")) {
    box.addEventListener("change", () => {
      const column = Number(box.dataset.column);
      for (const line of [rows.tHead.rows[0], ...lines]) line.cells[column].hidden = !box.checked;
    });
  }
  section.querySelector(".csv").addEventListener("click", () => {
    const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const kept = heads.map((head, column) => column).filter((column) => !heads[column].hidden);
    const text = [kept.map((column) => quoted(heads[column].textContent.trim())).join(","),
      ...[...body.rows].filter((line) => !line.hidden).map((line) => kept.map((column) => quoted(cell(line, column))).join(","))].join("\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text + "\n"], { type: "text/csv" }));
    link.download = "crnn-benchmarks.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

// A link to a row opens its part.
function open() {
  const part = location.hash && document.getElementById(location.hash.slice(1));
  if (part && part.tagName === "DETAILS") part.open = true;
}
addEventListener("hashchange", open);

for (const section of document.querySelectorAll("section.run")) { wire(section); table(section); }
open();
