/** Pairs of a family: the numbers were computed and adjusted beforehand, here they are looked up and drawn. */
class Pairs {
  constructor(root, family, state, changed) {
    Object.assign(this, { root, family, state, changed });
    this.all = new Map(family.pairs.map((row) => [row[0] * 1e4 + row[1], row]));
    this.versus = new Map(family.versus.map(([base, arm, here, tasks]) => [base * 1e4 + arm, { here, tasks }]));
    this.place = new Map(family.columnPairs.index.map(([i, j], n) => [i * 1e4 + j, n]));
    this.setUp();
  }

  tool(name) { return $(`[data-tool="${name}"]`, this.root); }

  setUp() {
    const get = (name) => this.state[`${this.family.slug}.${name}`];
    for (const [name, draw] of [["baseline", "forest"], ["scope", "forest"], ["matrix", "matrix"], ["matrix-over", "matrix"]]) {
      const control = this.tool(name);
      if (!control) continue;
      const start = control.value;
      if (get(name)) control.value = get(name);
      if (control.value === "") control.value = start;
      control.addEventListener("input", () => {
        this[draw]();
        this.state[`${this.family.slug}.${name}`] = control.value === start ? "" : control.value;
        this.changed();
      });
      if (control.value !== start) this[draw]();
    }
  }

  /** i minus j: { estimate, half, p, effect, bayes, wins, losses, unequal, places }; null where there is nothing. */
  pair(i, j, scope) {
    const sign = i < j ? 1 : -1, key = sign > 0 ? i * 1e4 + j : j * 1e4 + i;
    const row = this.all.get(key);
    if (!row) return null;
    const turn = (v) => (v === null ? null : sign * v);
    const common = {
      effect: turn(row[8]), bayes: row[9] ? (sign > 0 ? row[9] : row[9].slice().reverse()) : null,
      wins: sign > 0 ? row[10] : row[11], losses: sign > 0 ? row[11] : row[10], unequal: row[12] === 1, columns: row[13],
    };
    if (scope === "here") return { ...common, estimate: turn(row[2]), half: row[3], p: row[4], places: this.family.places.difference };
    if (scope === "tasks") return { ...common, estimate: turn(row[5]), half: row[6], p: row[7], places: this.family.places.difference };
    const at = this.place.get(key);
    if (at === undefined) return { ...common, estimate: null, half: null, p: null, places: 3 };
    const [differences, halves, pvalues] = this.family.columnPairs.columns[Number(scope)];
    const places = this.family.places.columns[Number(scope)], unit = Math.pow(10, places);
    return {
      ...common, estimate: differences[at] === null ? null : (sign * differences[at]) / unit,
      half: halves[at] === null ? null : halves[at] / unit, p: pvalues[at], places,
    };
  }

  forest() {
    const base = Number(this.tool("baseline").value), scope = this.tool("scope").value;
    const rows = [];
    this.family.arms.forEach((arm, i) => {
      const found = i === base ? null : this.pair(i, base, scope);
      if (!found) return;
      const versus = this.versus.get(base * 1e4 + i);
      if (versus && scope in versus) found.p = versus[scope];
      rows.push({ arm, ...found });
    });
    const ends = rows.flatMap((r) => (r.estimate === null ? [] : [r.estimate - (r.half || 0), r.estimate + (r.half || 0)])).concat([0]);
    let low = Math.min(...ends), high = Math.max(...ends);
    const margin = (high - low) * 0.03 || 0.5;
    low -= margin; high += margin;
    const x = (v) => 6 + ((v - low) / (high - low)) * 288;
    const body = $('[data-role="forest"]', this.root).tBodies[0];
    body.replaceChildren(...rows.map((row) => this.forestRow(row, x)));
    $('[data-role="baseline-name"]', this.root).textContent = this.family.arms[base].name;
    $('[data-role="forest-caption"]', this.root).textContent = this.caption(base, scope);
  }

  caption(base, scope) {
    const declared = this.family.baselines.includes(base);
    const family = declared && (scope === "here" || scope === "tasks") ? "the comparisons with this declared baseline" : "all pairs";
    if (scope === "tasks") return `Mean difference over tasks, for further tasks; interval: t over tasks, not adjusted; p adjusted over ${family}.`;
    if (scope === "here") return `Mean difference on these columns; interval not adjusted; p adjusted by Holm over ${family}.`;
    return `Difference on ${this.family.columns[Number(scope)].label}; interval not adjusted; p adjusted by Holm over all pairs of this column.`;
  }

  forestRow(row, x) {
    const has = row.estimate !== null, width = 300, mid = 10;
    const svg = make("svg", { class: "inline", width, height: 20, "aria-hidden": "true", focusable: "false" });
    if (has) {
      svg.append(make("line", { x1: x(0), x2: x(0), y1: 0, y2: 20, class: "zero" }));
      if (row.half !== null) svg.append(make("line", { x1: x(row.estimate - row.half), x2: x(row.estimate + row.half), y1: mid, y2: mid, class: "whisker" }));
      svg.append(make("circle", { cx: x(row.estimate), cy: mid, r: 4, class: "dot" }));
    }
    const told = rejected(row.p);
    const word = !has || row.p === null ? "not tested" : !told ? "not told apart" : row.estimate > 0 ? "better" : "worse";
    const mark = word === "better" ? "▲ " : word === "worse" ? "▼ " : "";
    const interval = !has || row.half === null ? DASH : `${fixed(row.estimate - row.half, row.places, true)} to ${fixed(row.estimate + row.half, row.places, true)}`;
    return make("tr", {},
      make("th", { scope: "row" }, row.arm.name + (row.unequal ? " ≠" : "")),
      make("td", {}, fixed(row.estimate, row.places, true)), make("td", {}, interval), make("td", { class: "left" }, svg),
      make("td", {}, pText(row.p)), make("td", { class: "left" }, make("span", { class: word === "better" || word === "worse" ? word : "muted" }, mark + word)),
      make("td", {}, `${row.wins} / ${row.losses} of ${row.columns}`));
  }

  matrix() {
    const mode = this.tool("matrix").value, over = this.tool("matrix-over").value;
    for (const tr of $$('[data-role="matrix"] tbody tr', this.root)) {
      for (const td of $$("td", tr)) {
        const found = this.pair(Number(tr.dataset.i), Number(td.dataset.j), over);
        if (!found) continue;
        const told = rejected(found.p) && found.estimate !== null;
        const word = told ? (found.estimate > 0 ? "better" : "worse") : "";
        td.className = word;
        const mark = word === "better" ? "▲ " : word === "worse" ? "▼ " : "";
        if (mode === "p") td.textContent = mark + pText(found.p);
        else if (mode === "effect") td.textContent = mark + fixed(found.effect, 2, true);
        else if (mode === "bayes") td.textContent = found.bayes ? found.bayes.map((p) => Math.round(100 * p)).join(" / ") : DASH;
        else td.textContent = mark + fixed(found.estimate, found.places, true);
      }
    }
  }
}
