// The page: one request, its views on the left, its frame and prediction on the right.

import { Problem, call, json } from "./api.js";
import * as form from "./form.js";
import * as keys from "./keys.js";
import * as night from "./night.js";

const PAUSE = 300; // ms between the last edit and the preview
const MOST_KEPT = 30; // requests of the history
const at = (id) => document.getElementById(id);
const state = { request: null, schema: null, scenes: {}, templates: {}, modes: [], timer: 0, running: null, picture: null };

function tabs() {
  const all = [...document.querySelectorAll('[role="tab"]')];
  const open = (tab) => {
    for (const each of all) {
      const is = each === tab;
      each.setAttribute("aria-selected", String(is));
      each.tabIndex = is ? 0 : -1;
      at(each.getAttribute("aria-controls")).hidden = !is;
    }
    views();
  };
  all.forEach((tab, place) => {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = all[(place + step + all.length) % all.length];
      open(next);
      next.focus();
    });
  });
}

function views() {
  // Draw the views of the request anew; those that are hidden when they are opened.
  if (!state.request) return;
  const own = { ...state, change: edited, rebuild: () => form.build(at("panel-form"), own) };
  if (!at("panel-form").hidden) form.build(at("panel-form"), own);
  if (!at("panel-keys").hidden) keys.build(at("keys"), { ...own, find: at("find").value });
  if (!at("panel-json").hidden) at("json").value = JSON.stringify(state.request, null, 1);
  if (!at("panel-history").hidden) listHistory();
}

function edited() {
  state.running?.abort();
  clearTimeout(state.timer);
  at("result").classList.add("stale");
  state.timer = setTimeout(update, PAUSE);
}

async function update() {
  // Ask for the picture and the prediction of the request.
  state.running?.abort();
  const mine = (state.running = new AbortController());
  const body = JSON.stringify(state.request);
  const begin = performance.now();
  at("status").textContent = "Rendering";
  lines(body);
  history.replaceState(null, "", `#${encode(body)}`);
  try {
    const options = { body, signal: mine.signal };
    const [picture, told] = await Promise.all([
      call("preview?size=900", options).then((answer) => answer.blob()),
      call("validate", options).then((answer) => answer.json()),
    ]);
    show(picture, told);
    at("status").textContent = `${told.summary}; ${((performance.now() - begin) / 1000).toFixed(2)} s`;
    remember(body, told.summary);
  } catch (error) {
    if (error.name !== "AbortError") refuse(error);
  }
}

function show(picture, told) {
  const old = state.picture;
  state.picture = URL.createObjectURL(picture);
  at("picture").src = at("png").href = state.picture;
  at("picture").alt = `The frame: ${told.summary}`;
  at("picture").hidden = at("png").hidden = false;
  if (old) URL.revokeObjectURL(old);
  at("result").classList.remove("stale");
  at("problem").textContent = "";
  form.clear(at("request"));
  const rows = told.prediction.map((card) => {
    const row = document.createElement("tr");
    const name = document.createElement("th");
    const value = document.createElement("td");
    name.scope = "row";
    name.textContent = card.comment || card.keyword;
    name.title = card.keyword;
    value.textContent = typeof card.value === "number" ? Number(card.value.toPrecision(6)).toString() : String(card.value);
    row.append(name, value);
    return row;
  });
  at("prediction").tBodies[0].replaceChildren(...rows);
  at("notes").replaceChildren(...told.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
}

function refuse(error) {
  const pointer = error instanceof Problem ? error.members.pointer : undefined;
  at("status").textContent = "Not rendered";
  at("problem").textContent = error.message;
  const panel = at("panel-keys").hidden ? at("panel-form") : at("keys");
  if (pointer === undefined || !form.mark(panel, pointer, error.message)) form.clear(at("request"));
}

function lines(body) {
  const quoted = `'${body.replaceAll("'", "'\\''")}'`;
  at("elvis-line").value = `echo ${quoted} | elvis > elvis.fits`;
  at("curl-line").value = `curl --data-binary ${quoted} -o elvis.fits ${new URL("etc", location.href.split("#")[0])}`;
}

const encode = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text))).replaceAll("+", "-").replaceAll("/", "_");

function decode(text) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

function remember(body, summary) {
  const kept = JSON.parse(localStorage.getItem("elvis-history") ?? "[]").filter((one) => one.body !== body);
  kept.unshift({ body, summary, time: new Date().toISOString() });
  try {
    localStorage.setItem("elvis-history", JSON.stringify(kept.slice(0, MOST_KEPT)));
  } catch {
    localStorage.removeItem("elvis-history"); // it is full
  }
}

function listHistory() {
  const kept = JSON.parse(localStorage.getItem("elvis-history") ?? "[]");
  at("history").replaceChildren(...kept.map((one) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.textContent = `${one.time.slice(0, 16).replace("T", " ")} ${one.summary}`;
    button.addEventListener("click", () => open(JSON.parse(one.body)));
    item.append(button);
    return item;
  }));
}

async function open(request) {
  // Make a request the page's own.
  const name = String(request.instrumentName ?? "").toLowerCase();
  const known = state.modes.filter((mode) => mode.instrument === name);
  const mode = request.instrument?.ins_configuration ?? known[0]?.mode;
  if (!known.some((one) => one.mode === mode)) throw new Error(`the page knows no ${name} ${mode}`);
  state.schema = await json(`schema/${name}/${encodeURIComponent(mode)}`);
  state.request = request;
  at("instrument").value = name;
  at("mode").replaceChildren(...known.map((one) => new Option(`${one.mode}: ${one.title}`, one.mode, false, one.mode === mode)));
  views();
  await update();
}

async function openExample(instrument, mode) {
  await open(structuredClone(await json(`examples/${instrument}${mode ? `?mode=${encodeURIComponent(mode)}` : ""}`)));
}

async function download() {
  at("fits").disabled = true;
  try {
    const frame = await (await call("etc", { body: JSON.stringify(state.request) })).blob();
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(frame), download: "elvis.fits" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) {
    refuse(error);
  } finally {
    at("fits").disabled = false;
  }
}

function guarded(step) {
  return (...argv) => step(...argv).catch(refuse);
}

async function start() {
  at("told").open = innerWidth > 800;
  tabs();
  night.prepare(guarded(open));
  at("token").value = sessionStorage.getItem("elvis-token") ?? "";
  at("token").addEventListener("change", () => {
    sessionStorage.setItem("elvis-token", at("token").value);
    update();
  });
  at("instrument").addEventListener("change", guarded(() => openExample(at("instrument").value)));
  at("mode").addEventListener("change", guarded(() => openExample(at("instrument").value, at("mode").value)));
  at("find").addEventListener("input", views);
  at("fits").addEventListener("click", download);
  at("reset").addEventListener("click", guarded(() => openExample(at("instrument").value, at("mode").value)));
  at("link").addEventListener("click", async () => {
    await navigator.clipboard?.writeText(location.href);
    at("status").textContent = "The link is in the clipboard, and in the address";
  });
  at("forget").addEventListener("click", () => {
    localStorage.removeItem("elvis-history");
    listHistory();
  });
  at("json").addEventListener("input", () => {
    try {
      state.request = JSON.parse(at("json").value);
      at("json-error").textContent = "";
      edited();
    } catch (error) {
      at("json-error").textContent = error.message;
    }
  });
  [state.modes, state.scenes, state.templates] = await Promise.all([json("instruments"), json("scenes"), json("templates")]);
  const names = [...new Set(state.modes.map((mode) => mode.instrument))];
  at("instrument").replaceChildren(...names.map((name) => new Option(name)));
  const shared = location.hash.slice(1);
  if (shared) await open(decode(shared));
  else await openExample(names.includes("micado") ? "micado" : names[0]);
}

window.addEventListener("hashchange", guarded(async () => open(decode(location.hash.slice(1)))));
guarded(start)();
