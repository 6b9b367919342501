"use strict";
document.documentElement.classList.add("js");
const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (selector, root) => (root || document).querySelector(selector);
const $$ = (selector, root) => Array.from((root || document).querySelectorAll(selector));
const DASH = "–";

/** A fixed number of decimals with a true minus sign, as in the page's own tables. The numbers come rounded already. */
function fixed(value, places, sign) {
  if (value === null || value === undefined) return DASH;
  let text = Math.abs(value).toFixed(places);
  const zero = Number(text) === 0;
  if (value < 0 && !zero) text = "−" + text;
  else if (sign && !zero) text = "+" + text;
  return text;
}

/** Packed p-values: twice the printed thousandths, plus one where the test rejected. */
const rejected = (packed) => packed !== null && (packed & 1) === 1;
function pText(packed) {
  if (packed === null) return DASH;
  const p = packed >> 1;
  if (p === 0) return "<.001";
  if (p === 1000) return packed === 2000 ? ">.999" : "1.000";
  return "." + String(p).padStart(3, "0");
}

function make(tag, attributes, ...children) {
  const svg = ["svg", "line", "circle", "title"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== null) node.setAttribute(name, value);
  for (const child of children) node.append(child);
  return node;
}

/** What is common to all families: the state that the address keeps. */
function readState() {
  const state = {};
  for (const part of location.hash.replace(/^#/, "").split("&")) {
    const [name, value] = part.split("=");
    if (value !== undefined) state[decodeURIComponent(name)] = decodeURIComponent(value);
  }
  return state;
}

function writeState(state) {
  const parts = Object.entries(state).filter(([, v]) => v !== "" && v !== null).map(([n, v]) => `${encodeURIComponent(n)}=${encodeURIComponent(v)}`);
  history.replaceState(null, "", parts.length ? "#" + parts.join("&") : location.pathname + location.search);
}
