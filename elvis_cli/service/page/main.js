// The page: one request, its views on the left, its frame and prediction on the right.

import { Problem, call, json } from "./api.js";
import * as form from "./form.js";
import * as keys from "./keys.js";
import * as night from "./night.js";
import * as share from "./share.js";
import * as show from "./show.js";

const PAUSE = 150; // ms between the last edit and the preview
const LIVE_PIXELS = 6e6; // a larger frame is previewed in part, unless all of it is wanted
const at = (id) => document.getElementById(id);
const state = { request: null, schema: null, scenes: {}, templates: {}, modes: [], timer: 0, running: null, isReduced: false };

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
  if (!at("panel-history").hidden) share.list(guarded(open));
}

function edited() {
  state.running?.abort();
  clearTimeout(state.timer);
  at("result").classList.add("stale");
  state.timer = setTimeout(update, PAUSE);
}

async function update({ isReduced = false } = {}) {
  // Ask for the prediction and the picture of the request; what was asked for before is given up.
  state.running?.abort();
  clearTimeout(state.timer);
  const mine = (state.running = new AbortController());
  const body = JSON.stringify(state.request);
  const options = { body, signal: mine.signal };
  const begin = performance.now();
  state.isReduced = isReduced;
  at("result").classList.add("stale");
  at("status").textContent = isReduced ? "Rendering dithers and calibrations, reducing them" : "Rendering";
  share.lines(body, isReduced);
  share.hold(body);
  const isWhole = at("whole").checked;
  const query = isReduced ? "&product=reduced" : isWhole ? "" : `&pixels=${LIVE_PIXELS}`;
  try {
    const asked = call(`preview?size=${width()}${query}`, options);
    asked.catch(() => {}); // it is awaited below
    const told = await call("validate", options).then((answer) => answer.json());
    predicted(told);
    const answer = await asked;
    show.picture(await answer.blob(), told.summary);
    const isPart = answer.headers.has("Elvis-Part");
    at("whole-label").hidden = !isPart && !isWhole;
    const what = isReduced ? "reduced, " : isPart ? "a part, " : "";
    at("status").textContent = `${told.summary}; ${what}${((performance.now() - begin) / 1000).toFixed(2)} s`;
    share.remember(body, told.summary);
  } catch (error) {
    if (mine.signal.aborted) return;
    mine.abort();
    if (!isWhole || isReduced || !error.members?.pixels) return refuse(error);
    at("whole").checked = false;
    await update();
    at("problem").textContent = "The server renders all of it only as a job, which the button FITS begins.";
  }
}

function predicted(told) {
  // Show the prediction, which comes before the picture.
  const { nx, ny } = told.window;
  at("whole-text").textContent = `Show all ${told.chips.length} chips of ${nx} x ${ny} pixels, which takes longer`;
  at("problem").textContent = "";
  form.clear(at("request"));
  show.prediction(told);
}

function width() {
  // The width of the picture, so that its labels can be read on a narrow screen too.
  const pixels = Math.round(at("result").clientWidth * devicePixelRatio) - 24;
  return Math.min(1200, Math.max(320, pixels));
}

function refuse(error) {
  const pointer = error instanceof Problem ? error.members.pointer : undefined;
  at("status").textContent = "Not rendered";
  at("problem").textContent = error.message;
  const panel = at("panel-keys").hidden ? at("panel-form") : at("keys");
  if (pointer === undefined || !form.mark(panel, pointer, error.message)) form.clear(at("request"));
}

async function open(request) {
  // Make a request the page's own.
  const name = String(request.instrumentName ?? "").toLowerCase();
  const known = state.modes.filter((mode) => mode.instrument === name);
  const mode = request.instrument?.ins_configuration ?? known[0]?.mode;
  if (!known.some((one) => one.mode === mode)) throw new Error(`the page knows no ${name} ${mode}`);
  state.schema = await json(`schema/${name}/${encodeURIComponent(mode)}`);
  state.request = request;
  at("whole").checked = false;
  at("instrument").value = name;
  at("mode").replaceChildren(...known.map((one) => new Option(`${one.mode}: ${one.title}`, one.mode, false, one.mode === mode)));
  views();
  await update();
}

async function openExample(instrument, mode) {
  const opened = mode ?? state.modes.find((one) => one.instrument === instrument).mode;
  json(`schema/${instrument}/${encodeURIComponent(opened)}`).catch(() => {}); // asked for at once: open() waits for it
  await open(structuredClone(await json(`examples/${instrument}${mode ? `?mode=${encodeURIComponent(mode)}` : ""}`)));
}

async function download() {
  at("fits").disabled = true;
  try {
    show.save(await file(JSON.stringify(state.request)));
  } catch (error) {
    refuse(error);
  } finally {
    at("fits").disabled = false;
  }
}

async function file(body) {
  // The frame as FITS; one that is too large for an answer is made by a job.
  try {
    return await (await call(state.isReduced ? "reduce" : "etc", { body })).blob();
  } catch (error) {
    if (!(error instanceof Problem) || error.members.status !== 413 || !error.members.pixels) throw error;
  }
  let job = await (await call("jobs", { body })).json();
  while (job.state === "queued" || job.state === "running") {
    at("status").textContent = `The frame is large: its job is ${job.state}`;
    await new Promise((resolve) => setTimeout(resolve, 500));
    job = await (await call(`jobs/${job.id}`)).json();
  }
  if (job.state !== "made") throw new Error(job.files[0]?.message ?? "the job failed");
  at("status").textContent = "The frame is made";
  return (await call(`jobs/${job.id}/file`)).blob();
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
  at("reduce").addEventListener("click", () => update({ isReduced: true }));
  at("whole").addEventListener("change", () => update());
  at("reset").addEventListener("click", guarded(() => openExample(at("instrument").value, at("mode").value)));
  at("link").addEventListener("click", async () => {
    if (location.hash) await navigator.clipboard?.writeText(location.href);
    at("status").textContent = location.hash ? "The link is in the clipboard, and in the address" : "The request is too long for a link: it is in the tab JSON";
  });
  at("forget").addEventListener("click", () => {
    share.forget();
    share.list(guarded(open));
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
  if (shared) await open(share.decode(shared));
  else await openExample(sharpest(state.modes) ?? names[0]);
}

// The instrument that the page begins with: that of the images with the finest pixels.
function sharpest(modes) {
  const cameras = modes.filter((mode) => mode.filters.length);
  return cameras.sort((one, other) => one.pixel_scale - other.pixel_scale)[0]?.instrument;
}

window.addEventListener("hashchange", guarded(async () => location.hash && open(share.decode(location.hash.slice(1)))));
guarded(start)();
