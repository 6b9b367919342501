const THEMES = ["auto", "light", "dark"];
function remembered() { try { return localStorage.getItem("theme"); } catch { return null; } }
function setTheme(theme) {
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme);
  const button = $("#theme");
  button.textContent = `Theme: ${theme}`;
  button.setAttribute("aria-label", `Colour theme: ${theme === "auto" ? "as the system" : theme}. Switch`);
  button.dataset.theme = theme;
  try { localStorage.setItem("theme", theme); } catch { /* a page from disk may have no storage: the choice then lasts as long as the page */ }
}
setTheme(THEMES.includes(remembered()) ? remembered() : "auto");
$("#theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf($("#theme").dataset.theme) + 1) % 3]));

const STATE = readState();
const changed = () => writeState(STATE);
const made = new Map();
for (const root of $$(".family")) {
  const index = Number(root.dataset.family);
  // a family's later parts (failures) have no table to drive
  if (made.has(index) || !$('[data-role="board"]', root)) continue;
  const family = DATA.families[index];
  const pairs = new Pairs(root, family, STATE, changed);
  const board = new Board(root, family, STATE, changed);
  new Details(board, pairs);
  addExports(board);
  made.set(index, { board, pairs });
}

const printed = [];
addEventListener("beforeprint", () => { for (const d of $$("details:not([open])")) { d.open = true; printed.push(d); } });
addEventListener("afterprint", () => { for (const d of printed.splice(0)) d.open = false; });
