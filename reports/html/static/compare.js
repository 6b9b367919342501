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

  /** i minus j: { estimate, low, high, p, effect, bayes, wins, losses, unequal, places }; null where there is nothing. */
  pair(i, j, scope) {
    const sign = i < j ? 1 : -1, key = sign > 0 ? i * 1e4 + j : j * 1e4 + i;
    const row = this.all.get(key);
    if (!row) return null;
    const turn = (v) => (v === null ? null : sign * v);
    const common = {
      effect: turn(row[8]), bayes: row[9] ? (sign > 0 ? row[9] : row[9].slice().reverse()) : null,
      wins: sign > 0 ? row[10] : row[11], losses: sign > 0 ? row[11] : row[10], unequal: row[12] === 1, columns: row[13],
    };
    const shared = this.family.places.difference;
    if (scope === "here") return { ...common, ...this.ends(turn(row[2]), row[3], sign, shared), p: row[4], places: shared };
    if (scope === "tasks") return { ...common, ...this.ends(turn(row[5]), row[6], sign, shared), p: row[7], places: shared };
    const at = this.place.get(key);
    if (at === undefined) return { ...common, estimate: null, low: null, high: null, p: null, places: 3 };
    const [differences, packed, pvalues] = this.family.columnPairs.columns[Number(scope)];
    const places = this.family.places.columns[Number(scope)], unit = Math.pow(10, places);
    const estimate = differences[at] === null ? null : (sign * differences[at]) / unit;
    return { ...common, ...this.ends(estimate, packed[at], sign, places), p: pvalues[at], places };
  }

  /** Estimate and ends as they are printed; packed is of i minus j for i < j: 3 x lower reach + (upper - lower) + 1, in units of the last decimal. */
  ends(estimate, packed, sign, places) {
    if (estimate === null || packed === null) return { estimate, low: null, high: null };
    const lower = Math.floor(packed / 3), upper = lower + (packed % 3) - 1, unit = Math.pow(10, places);
    const at = Math.round(estimate * unit);
    return { estimate, low: (at - (sign > 0 ? lower : upper)) / unit, high: (at + (sign > 0 ? upper : lower)) / unit };
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
    const ends = rows.flatMap((r) => (r.estimate === null ? [] : [r.low ?? r.estimate, r.high ?? r.estimate])).concat([0]);
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
    if (scope === "here") return `Mean difference on these columns, ${this.family.here}; interval not adjusted; p adjusted by Holm over ${family}.`;
    return `Difference on ${this.family.columns[Number(scope)].label}; interval not adjusted; p adjusted by Holm over all pairs of this column.`;
  }

  forestRow(row, x) {
    const has = row.estimate !== null, width = 300, mid = 10;
    const svg = make("svg", { class: "inline", width, height: 20, "aria-hidden": "true", focusable: "false" });
    if (has) {
      svg.append(make("line", { x1: x(0), x2: x(0), y1: 0, y2: 20, class: "zero" }));
      if (row.low !== null) svg.append(make("line", { x1: x(row.low), x2: x(row.high), y1: mid, y2: mid, class: "whisker" }));
      svg.append(make("circle", { cx: x(row.estimate), cy: mid, r: 4, class: "dot" }));
    }
    const told = rejected(row.p);
    const word = !has || row.p === null ? "not tested" : !told ? "not told apart" : row.estimate > 0 ? "better" : "worse";
    const mark = word === "better" ? "▲ " : word === "worse" ? "▼ " : "";
    const interval = !has || row.low === null ? DASH : `${fixed(row.low, row.places, true)} to ${fixed(row.high, row.places, true)}`;
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
