"use strict";
const at = (id) => document.getElementById(id);
const buttons = [...document.querySelectorAll("[data-answer]")];
let state = null, current = 0, turn = 0, closed = false;

function url(number, side) { return `/picture/${number}/${side}/${state.angles[turn]}`; }

async function load(side) {
  const image = at(side), number = current, wanted = url(number, side);
  at(`${side}-text`).textContent = side;
  image.classList.add("waiting");
  if (side === "before" && !state.cases[number].before) { image.removeAttribute("src"); at("before-text").textContent = "before: there is no original"; return; }
  const response = await fetch(wanted);
  const failure = response.ok ? "" : await response.text();
  const picture = response.ok ? await response.blob() : null;
  if (number !== current || wanted !== url(number, side)) return;
  if (picture === null) { image.removeAttribute("src"); at(`${side}-text`).textContent = `${side}: no picture, ${failure}`; return; }
  const content = await createImageBitmap(picture);
  const canvas = document.createElement("canvas");
  canvas.width = content.width; canvas.height = content.height;
  canvas.getContext("2d").drawImage(content, 0, 0);
  canvas.id = side; canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", `${side} defacing, ${state.angles[turn]} degrees`);
  at(side).replaceWith(canvas);
  document.body.dataset[side] = `${number}/${state.angles[turn]}`;
}

function show() {
  const item = state.cases[current], answered = state.cases.filter((each) => each.answer).length;
  at("name").textContent = item.name;
  at("count").textContent = `scan ${current + 1} of ${state.cases.length}, ${answered} answered`;
  at("reasons").textContent = item.reasons.join("; ") || "not asked for by a rule";
  at("bar").max = state.cases.length; at("bar").value = answered;
  at("note").value = item.note;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.answer === item.answer));
  const all = answered === state.cases.length;
  at("message").textContent = all ? `All ${answered} scans are answered; kept in ${state.file}. ${state.agreement.join("; ")} Press q to close.` : "";
  load("before").then(() => load("after"));
}

function move(step) {
  current = (current + step + state.cases.length) % state.cases.length;
  turn = state.angles.indexOf(0);
  show();
}

async function ask(path, body) {
  const response = await fetch(path, { method: "POST", headers: { "X-Reid-Audit": "page", "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!response.ok) { at("message").textContent = await response.text(); return false; }
  state = await response.json();
  return true;
}

async function decide(answer) {
  if (!await ask("/decide", { case: current, answer: answer, note: at("note").value })) return;
  const open = state.cases.map((each, number) => number).filter((number) => !state.cases[number].answer);
  if (open.length) { current = open.find((number) => number > current) ?? open[0]; turn = state.angles.indexOf(0); }
  show();
}

async function undo() { if (await ask("/undo", {})) show(); }

async function close() {
  if (!await ask("/done", {})) return;
  closed = true;
  for (const side of ["before", "after"]) at(side).remove();
  document.body.textContent = `Closed. The answers are in ${state.file}; this page can be left.`;
}

function rotate(step) { turn = Math.min(Math.max(turn + step, 0), state.angles.length - 1); load("before").then(() => load("after")); }

const keys = { j: () => move(1), k: () => move(-1), z: undo, q: close, ArrowLeft: () => rotate(-1), ArrowRight: () => rotate(1), c: () => at("note").focus() };
for (const button of buttons) { keys[button.dataset.key] = () => decide(button.dataset.answer); button.addEventListener("click", () => decide(button.dataset.answer)); }
for (const [id, key] of [["left", "ArrowLeft"], ["right", "ArrowRight"], ["previous", "k"], ["next", "j"], ["undo", "z"], ["close", "q"]]) at(id).addEventListener("click", () => keys[key]());
document.addEventListener("keydown", (event) => {
  if (closed || state === null || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.activeElement === at("note")) { if (event.key === "Escape") at("note").blur(); return; }
  const act = keys[event.key];
  if (act) { event.preventDefault(); act(); }
});
fetch("/state").then((response) => response.json()).then((told) => {
  state = told;
  turn = state.angles.indexOf(0);
  current = Math.max(state.cases.findIndex((each) => !each.answer), 0);
  show();
});
