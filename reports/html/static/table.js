/** The leaderboard: several sort keys, filters, hidden columns and other metrics. It shows; it computes no statistic. */
class Board {
  constructor(root, family, state, changed) {
    Object.assign(this, { root, family, state, changed });
    this.table = $('[data-role="board"]', root);
    this.body = this.table.tBodies[0];
    this.rows = $$("tr[data-arm]", this.body);
    this.heads = $$("thead th", this.table);
    this.keys = this.heads.map((th) => th.dataset.key);
    this.original = null;
    this.sorts = [];
    this.setUp();
    this.restore();
  }

  tool(name) { return $(`[data-tool="${name}"]`, this.root); }

  setUp() {
    for (const th of this.heads) {
      const button = $("button", th);
      if (button) button.addEventListener("click", (event) => this.sortBy(th.dataset.key, event.shiftKey));
    }
    for (const name of ["search", "tag", "parameters", "metric"]) {
      const control = this.tool(name);
      if (control) control.addEventListener("input", () => { this.apply(); this.keep(); });
    }
    const metric = this.tool("metric");
    for (const name of Object.keys(this.family.other)) metric.append(make("option", { value: name }, name));
    const box = this.tool("columns");
    this.heads.forEach((th, index) => {
      if (index === 0) return;
      const input = make("input", { type: "checkbox", "data-key": th.dataset.key });
      input.checked = true;
      input.addEventListener("change", () => { this.apply(); this.keep(); });
      box.append(make("label", {}, input, ($("button", th) || th).textContent.trim()));
    });
    this.tool("reset").addEventListener("click", () => this.reset());
  }

  sortBy(key, add) {
    const found = this.sorts.find((s) => s.key === key);
    const first = this.defaultDescending(key);
    if (!found) this.sorts = [...(add ? this.sorts : []), { key, down: first }];
    else if (found.down === first) { found.down = !first; if (!add) this.sorts = [found]; }
    else this.sorts = add ? this.sorts.filter((s) => s !== found) : [];
    this.apply();
    this.keep();
  }

  /** Scores begin with the best; names and places with the first. */
  defaultDescending(key) {
    if (key === "arm" || key === "place" || key === "failed") return false;
    const column = /^c\d+$/.test(key) ? this.family.columns[Number(key.slice(1))] : null;
    if (column) return column.higher;
    return !["tuning", "parameters", "bytes", "seconds", "memory"].includes(key);
  }

  value(row, key) {
    const index = this.keys.indexOf(key);
    if (/^c\d+$/.test(key)) {
      const cells = this.values(Number(row.dataset.arm));
      return cells[Number(key.slice(1))];
    }
    const cell = row.cells[index];
    if (key === "arm") return this.family.arms[Number(row.dataset.arm)].name.toLowerCase();
    return cell.dataset.v === "" || cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  }

  values(arm) {
    const metric = this.tool("metric").value;
    return metric ? this.family.other[metric][arm] : this.family.cells[arm].map((cell) => (cell ? cell[0] : null));
  }

  order() {
    const by = this.sorts.map((s) => ({ ...s, values: new Map(this.rows.map((row) => [row, this.value(row, s.key)])) }));
    return this.rows.slice().sort((a, b) => {
      for (const { down, values } of by) {
        const x = values.get(a), y = values.get(b);
        if (x === y) continue;
        if (x === null) return 1;
        if (y === null) return -1;
        return (x < y ? -1 : 1) * (down ? -1 : 1);
      }
      return Number(a.dataset.arm) - Number(b.dataset.arm);
    });
  }

  apply() {
    closeDetails(this.body);
    this.body.append(...this.order());
    for (const th of this.heads) {
      const place = this.sorts.findIndex((s) => s.key === th.dataset.key);
      if (!$("button", th)) continue;
      th.setAttribute("aria-sort", place < 0 ? "none" : this.sorts[place].down ? "descending" : "ascending");
      $("button", th).dataset.order = place >= 0 && this.sorts.length > 1 ? String(place + 1) : "";
    }
    this.showMetric();
    this.filter();
  }

  filter() {
    const search = this.tool("search").value.trim().toLowerCase();
    const tag = this.tool("tag") ? this.tool("tag").value : "";
    const most = this.tool("parameters") && this.tool("parameters").value !== "" ? Number(this.tool("parameters").value) : null;
    const armTag = tag && this.family.arms.some((arm) => arm.tags.includes(tag));
    const columnTag = tag && this.family.columns.some((column) => column.tags.includes(tag));
    let shown = 0;
    for (const row of this.rows) {
      const arm = this.family.arms[Number(row.dataset.arm)];
      const out = (search && !arm.name.toLowerCase().includes(search)) || (armTag && !columnTag && !arm.tags.includes(tag)) ||
        (most !== null && (arm.parameters === null || arm.parameters > most));
      row.hidden = Boolean(out);
      shown += out ? 0 : 1;
    }
    const hiddenKeys = new Set($$('[data-tool="columns"] input', this.root).filter((i) => !i.checked).map((i) => i.dataset.key));
    let columns = 0;
    this.keys.forEach((key, index) => {
      const match = /^c(\d+)$/.exec(key);
      const out = hiddenKeys.has(key) || (match && columnTag && !this.family.columns[Number(match[1])].tags.includes(tag));
      if (match && !out) columns += 1;
      this.heads[index].hidden = Boolean(out);
      for (const row of this.rows) row.cells[index].hidden = Boolean(out);
    });
    this.say(shown, columns, Boolean(columnTag));
  }

  say(shown, columns, byTag) {
    const metric = this.tool("metric").value;
    const notes = [];
    if (shown < this.rows.length) notes.push(`${shown} of ${this.rows.length} arms shown; places, letters and tests are for all of them.`);
    if (byTag) notes.push(`${columns} of ${this.family.columns.length} columns shown: descriptive, not tested. Means, places and tests are for all columns.`);
    if (metric) notes.push(`Cells show ${metric}: descriptive, not tested. Means, places and tests are for ${this.family.metric}.`);
    const banner = $('[data-role="descriptive"]', this.root);
    banner.hidden = notes.length === 0;
    banner.textContent = notes.join(" ");
  }

  showMetric() {
    const metric = this.tool("metric").value;
    if (!metric && !this.original) return;
    // kept when first needed: a large table opens faster
    if (!this.original) this.original = new Map(this.rows.map((row) => [row, $$("td.cell", row).map((td) => ({ best: td.classList.contains("best"), nodes: Array.from(td.childNodes) }))]));
    for (const row of this.rows) {
      const arm = Number(row.dataset.arm);
      const kept = this.original.get(row);
      $$("td.cell", row).forEach((td, index) => {
        if (!metric) td.replaceChildren(...kept[index].nodes);
        else td.textContent = fixed(this.family.other[metric][arm][index], this.family.places.columns[index]);
        td.classList.toggle("best", !metric && kept[index].best);
      });
    }
  }

  keep() {
    const prefix = this.family.slug + ".";
    const put = (name, value) => { this.state[prefix + name] = value || ""; };
    put("sort", this.sorts.map((s) => (s.down ? "-" : "") + s.key).join(","));
    for (const name of ["search", "tag", "parameters", "metric"]) if (this.tool(name)) put(name, this.tool(name).value);
    put("hide", $$('[data-tool="columns"] input', this.root).filter((i) => !i.checked).map((i) => i.dataset.key).join(","));
    this.changed();
  }

  restore() {
    const get = (name) => this.state[this.family.slug + "." + name] || "";
    this.sorts = get("sort").split(",").filter(Boolean).map((s) => ({ key: s.replace(/^-/, ""), down: s.startsWith("-") })).filter((s) => this.keys.includes(s.key));
    for (const name of ["search", "tag", "parameters", "metric"]) if (this.tool(name)) this.tool(name).value = get(name);
    const hide = new Set(get("hide").split(","));
    $$('[data-tool="columns"] input', this.root).forEach((input) => { input.checked = !hide.has(input.dataset.key); });
    for (const th of this.heads) if ($("button", th)) th.setAttribute("aria-sort", "none");
    if (Object.keys(this.state).some((name) => name.startsWith(this.family.slug + "."))) this.apply();
  }

  reset() {
    this.sorts = [];
    for (const name of ["search", "tag", "parameters", "metric"]) if (this.tool(name)) this.tool(name).value = "";
    $$('[data-tool="columns"] input', this.root).forEach((input) => { input.checked = true; });
    this.apply();
    this.keep();
  }
}
