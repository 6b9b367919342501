/** The table as it is shown, copied as Markdown or LaTeX, or saved as CSV; the numbers behind the page as JSON. */
function shownTable(board) {
  const visible = board.keys.map((_, i) => i).filter((i) => !board.heads[i].hidden);
  const text = (node) => {
    const copy = node.cloneNode(true);
    $$("svg, .sr, .tag, sup", copy).forEach((n) => n.remove());
    return copy.textContent.replace(/\s+/g, " ").trim();
  };
  const head = visible.map((i) => text(board.heads[i]));
  const rows = $$("tr[data-arm]", board.body).filter((row) => !row.hidden).map((row) => visible.map((i) => text(row.cells[i])));
  return { head, rows };
}

const plainMinus = (text) => text.replace(/−/g, "-");
const markdownCell = (text) => text.replace(/([\\|`*_<>[\]])/g, "\\$1");
function markdown({ head, rows }) {
  const line = (cells) => `| ${cells.map(markdownCell).join(" | ")} |`;
  return [line(head), `|${head.map((_, i) => (i ? "---:" : "---")).join("|")}|`, ...rows.map(line)].join("\n") + "\n";
}

const TEX = { "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "$": "\\$", "&": "\\&", "#": "\\#", "%": "\\%", "_": "\\_", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "–": "--", "−": "$-$", "≠": "$\\neq$", "<": "\\textless{}", ">": "\\textgreater{}" };
const tex = (text) => text.replace(/[\\{}$&#%_~^–−≠<>]/g, (c) => TEX[c]);
function latex({ head, rows }) {
  const line = (cells) => cells.map(tex).join(" & ") + " \\\\";
  return ["\\begin{tabular}{l" + "r".repeat(head.length - 1) + "}", "\\toprule", line(head), "\\midrule", ...rows.map(line), "\\bottomrule", "\\end{tabular}"].join("\n") + "\n";
}

/** A text cell that a spreadsheet would run as a formula gets a leading apostrophe; numbers stay numbers. */
function csvCell(text) {
  let plain = plainMinus(text);
  if (/^[=+\-@\t\r]/.test(plain) && !/^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(plain)) plain = "'" + plain;
  return /[",\n]/.test(plain) ? `"${plain.replace(/"/g, '""')}"` : plain;
}
const csv = ({ head, rows }) => [head, ...rows].map((row) => row.map(csvCell).join(",")).join("\n") + "\n";

function save(name, type, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function copy(text, board, what) {
  const status = $('[data-role="status"]', board.root);
  const button = board.tool(what);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // pages opened from disk may lack the clipboard interface: the older command still works there
    const area = make("textarea", {});
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const before = button.textContent;
  button.textContent = "Copied";
  status.textContent = "Table copied";
  setTimeout(() => { button.textContent = before; }, 1500);
}

function addExports(board) {
  board.tool("markdown").addEventListener("click", () => copy(markdown(shownTable(board)), board, "markdown"));
  board.tool("latex").addEventListener("click", () => copy(latex(shownTable(board)), board, "latex"));
  board.tool("csv").addEventListener("click", () => save(`${board.family.slug}.csv`, "text/csv", csv(shownTable(board))));
  board.tool("json").addEventListener("click", () => save(`${board.family.slug}.json`, "application/json", JSON.stringify(board.family)));
}
