/** A row's cells: every run as a dot, the interval, the difference to the chosen baseline, and where two arms disagree. */
function closeDetails(body) {
  for (const row of $$("tr.detail", body)) row.remove();
  for (const button of $$('th[scope="row"] button[aria-expanded="true"]', body)) button.setAttribute("aria-expanded", "false");
}

class Details {
  constructor(board, pairs) {
    Object.assign(this, { board, pairs, family: board.family });
    for (const row of board.rows) {
      const th = $("th", row);
      const name = th.firstChild;
      const button = make("button", { type: "button", class: "quiet name", "aria-expanded": "false" }, name.textContent.trim());
      th.replaceChild(button, name);
      button.addEventListener("click", () => this.toggle(row, button));
    }
  }

  toggle(row, button) {
    const open = button.getAttribute("aria-expanded") === "true";
    if (open) {
      row.nextElementSibling.remove();
      button.setAttribute("aria-expanded", "false");
      return;
    }
    button.setAttribute("aria-expanded", "true");
    const cell = make("td", { colspan: row.cells.length }, this.content(Number(row.dataset.arm)));
    row.after(make("tr", { class: "detail" }, cell));
  }

  content(arm) {
    const base = this.pairs.tool("baseline") ? Number(this.pairs.tool("baseline").value) : this.family.baseline;
    const name = this.family.arms[base].name;
    const cells = this.family.cells[arm];
    const runs = cells.flatMap((c) => (c ? c[7].map((r) => r[1]).concat(c[1], c[2]) : [])).filter((v) => v !== null);
    const low = Math.min(...runs), high = Math.max(...runs);
    const x = (v) => 6 + ((v - low) / (high - low || 1)) * 188;
    const head = ["Column", "Mean", "Interval", "sd", "Runs", "", ...(base === arm ? [] : [`minus ${name}`, "p, adjusted"]), "Examples"];
    const table = make("table", {}, make("caption", {}, `${this.family.arms[arm].name}: cells with every run${base === arm ? "" : `, and against ${name}`}. ✗ marks a failed run at its floor.`),
      make("thead", {}, make("tr", {}, ...head.map((h, i) => make("th", { scope: "col", class: i === 0 || h === "Examples" ? "left" : null }, h)))));
    const body = make("tbody");
    cells.forEach((cell, index) => { if (cell) body.append(this.row(arm, base, index, cell, x)); });
    table.append(body);
    return table;
  }

  row(arm, base, index, cell, x) {
    const [mean, low, high, sd, ok, failed, deterministic, runs] = cell;
    const column = this.family.columns[index], places = this.family.places.columns[index];
    const svg = make("svg", { class: "inline", width: 200, height: 18, "aria-hidden": "true", focusable: "false" });
    if (low !== null && high !== null) svg.append(make("line", { x1: x(low), x2: x(high), y1: 9, y2: 9, class: "whisker" }));
    for (const [seed, score, bad] of runs) {
      if (score === null) continue;
      svg.append(make("circle", { cx: x(score), cy: 9, r: 3.2, style: `fill:var(${bad ? "--bad" : "--c1"});opacity:.7` }, make("title", {}, `seed ${seed}: ${fixed(score, places + 1)}${bad ? ", failed" : ""}`)));
    }
    const tr = make("tr", {}, make("th", { scope: "row" }, column.label), make("td", {}, fixed(mean, places)),
      make("td", {}, low === null ? DASH : `${fixed(low, places)} to ${fixed(high, places)}`), make("td", {}, deterministic ? "deterministic" : fixed(sd, places + 1)),
      make("td", {}, failed ? `${ok}, ${failed} ✗` : String(ok)), make("td", {}, svg));
    if (base !== arm) {
      const pair = this.pairs.pair(arm, base, String(index));
      tr.append(make("td", {}, pair ? fixed(pair.estimate, places, true) : DASH), make("td", {}, pair ? pText(pair.p) : DASH));
    }
    const link = column.examples ? make("a", { href: `${column.examples}#${this.anchor(arm, base)}` }, "where they disagree") : DASH;
    tr.append(make("td", { class: "left" }, link));
    return tr;
  }

  anchor(arm, base) { return `pair-${Math.min(arm, base)}-${Math.max(arm, base)}`; }
}
