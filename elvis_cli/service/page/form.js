// The form: 15 to 20 fields of a request, made from the schema of its mode.

import { get, join, set } from "./pointer.js";
import * as upload from "./upload.js";

const TARGET = ["target"];
const SED = ["target", "sed", "spectrum"];
const BRIGHTNESS = ["target", "brightness"];

const UPLOADS = { catalogue: "A catalogue of yours", image: "An image of yours" };

let number = 0;
let isOpen = false; // the fields that few need

const capital = (text) => text[0].toUpperCase() + text.slice(1);

export function input(schema, value, change, label) {
  // Return a label with the input for a value; change is called with the new one, undefined if it is empty.
  const id = `field-${number++}`;
  const box = document.createElement("label");
  box.htmlFor = id;
  box.append(label.startsWith("/") ? label : capital(schema.unit ? `${label}, ${schema.unit}` : label));
  if (schema.description) box.title = schema.description;
  let field;
  const types = [schema.type ?? "string"].flat();
  if (schema.enum || types[0] === "boolean") {
    field = document.createElement("select");
    const options = schema.enum ?? [true, false];
    if (!options.includes(value)) field.append(new Option(schema.default === undefined ? "" : `${schema.default} (default)`, ""));
    for (const option of options) field.append(new Option(String(option), JSON.stringify(option), false, option === value));
    field.addEventListener("change", () => change(field.value === "" ? undefined : JSON.parse(field.value)));
  } else {
    field = document.createElement("input");
    const numeric = types.includes("number") || types.includes("integer");
    if (numeric) field.inputMode = "decimal";
    if (schema.list) field.setAttribute("list", schema.list);
    field.value = value === undefined || value === null ? "" : typeof value === "object" ? JSON.stringify(value) : value;
    if (schema.default !== undefined && typeof schema.default !== "object") field.placeholder = schema.default;
    field.addEventListener("input", () => change(parse(field.value, numeric, types)));
  }
  field.id = id;
  box.append(field);
  return box;
}

function parse(text, numeric, types) {
  // What is no number stays a text: the server says what is wrong with it, at this field.
  if (text.trim() === "") return undefined;
  if (numeric && Number.isFinite(Number(text))) return Number(text);
  if (types.includes("object") || types.includes("array")) {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
  return text;
}

function alternate(panel, request, schema, name) {
  // A signal-to-noise ratio and a number of integrations exclude each other: the one that was not set goes.
  const counts = Object.keys(schema.properties.timesnr.properties).filter((key) => key !== "snr" && key.match(/NDIT|NEXPO/));
  for (const key of name === "snr" ? counts : counts.includes(name) ? ["snr"] : []) {
    set(request, ["timesnr", key], undefined);
    const field = panel.querySelector(`[data-pointer="${join(["timesnr", key])}"]`);
    if (field) field.value = "";
  }
}

export function build(panel, { request, schema, scenes, templates, change, rebuild }) {
  // Fill the panel with the fields of a request; change is called after each edit.
  panel.replaceChildren();
  const at = (path) => path.reduce((inner, step) => inner?.properties?.[step], schema) ?? {};
  const group = (title) => {
    const box = document.createElement("fieldset");
    const legend = document.createElement("legend");
    const fields = document.createElement("div");
    legend.textContent = title;
    fields.className = "fields";
    box.append(legend, fields);
    panel.append(box);
    return fields;
  };
  const folded = (title) => {
    const box = document.createElement("details");
    const summary = document.createElement("summary");
    const fields = document.createElement("div");
    summary.textContent = title;
    fields.className = "fields";
    box.open = isOpen;
    box.addEventListener("toggle", () => (isOpen = box.open));
    box.append(summary, fields);
    panel.append(box);
    return fields;
  };
  const field = (fields, path, label, more = {}, after = () => {}) => {
    const own = { ...at(path), ...more };
    const box = input(own, get(request, path), (value) => {
      set(request, path, value);
      after(value);
      change();
    }, label);
    box.lastChild.dataset.pointer = join(path);
    fields.append(box);
  };

  const instrument = group("Instrument");
  for (const [name, key] of Object.entries(schema.properties.instrument.properties)) {
    if (name !== "ins_configuration" && key.default !== undefined) field(instrument, ["instrument", name], key.title ?? name);
  }
  const target = group("Target");
  const scene = get(request, ["elvis", "scene", "name"]);
  const own = Object.keys(UPLOADS).find((name) => get(request, ["elvis", name]) !== undefined);
  const kind = own ?? scene ?? get(request, [...TARGET, "morphology", "extendedtype"]) ?? "point";
  const kinds = ["point", "sersic", "infinite", ...Object.keys(scenes), ...Object.keys(UPLOADS)];
  target.append(input({ enum: kinds }, kind, (value) => {
    choose(request, value, scenes);
    if (value in UPLOADS) set(request, ["elvis", value], {}); // until a file is read
    rebuild();
    if (!(value in UPLOADS)) change();
  }, "Kind"));
  if (own) {
    target.append(upload.field(own, UPLOADS[own], (value) => {
      set(request, ["elvis", own], value);
      rebuild();
      change();
    }, get(request, ["elvis", own])));
    if (own === "image") field(target, ["elvis", "image", "scale"], "Scale, arcsec per pixel");
  }
  if (kind === "sersic") {
    field(target, [...TARGET, "morphology", "radius"], "Radius, arcsec");
    field(target, [...TARGET, "morphology", "index"], "Sersic index");
  }
  if (scene) {
    for (const [name, own] of Object.entries(scenes[scene])) {
      const [, unit] = /, (arcsec|deg|kpc|pc|km\/s|mag|K)\.$/.exec(own.description ?? "") ?? [];
      field(target, ["elvis", "scene", name], name.replaceAll("_", " "), { unit, ...own });
    }
  }
  field(target, [...SED, "spectrumtype"], "Spectrum", { enum: ["template", "blackbody", "powerlaw"] }, rebuild);
  const spectrum = get(request, [...SED, "spectrumtype"]);
  if (spectrum === "template") {
    field(target, [...SED, "params", "catalog"], "Catalogue", {}, (name) => {
      set(request, [...SED, "params", "id"], templates[name]?.[0]);
      rebuild();
    });
    const list = document.createElement("datalist");
    list.id = "spectra";
    const ids = templates[get(request, [...SED, "params", "catalog"])] ?? [];
    list.append(...ids.slice(0, 500).map((id) => new Option(id)));
    target.append(list);
    field(target, [...SED, "params", "id"], "Template", { list: "spectra" });
  } else if (spectrum === "blackbody") field(target, [...SED, "params", "temperature"], "Temperature, K");
  else if (spectrum === "powerlaw") field(target, [...SED, "params", "exponent"], "Exponent");
  field(target, [...BRIGHTNESS, "mag"], "Magnitude");
  field(target, [...BRIGHTNESS, "magband"], "Band");
  field(target, [...BRIGHTNESS, "magsys"], "System");

  const sky = group("Sky");
  const labels = { airmass: "Airmass", fli: "Moon's illumination", waterVapour: "Water vapour, mm" };
  for (const [name, label] of Object.entries(labels)) field(sky, ["sky", name], label);
  const seeing = { turbulence_category: "Turbulence category, %", "SEQ.NGS.MAG": "Star of the AO, mag", separation: "Its separation, arcsec" };
  for (const name of Object.keys(schema.properties.seeing.properties)) {
    if (name in seeing) field(sky, ["seeing", name], seeing[name]);
  }

  const exposure = group("Exposure");
  for (const [name, own] of Object.entries(schema.properties.timesnr.properties)) {
    if (own.default !== undefined || name === "snr") field(exposure, ["timesnr", name], own.title ?? name, {}, () => alternate(panel, request, schema, name));
  }
  for (const [name, label] of [["product", "Pixels"], ["calibration", "Calibration"]]) field(exposure, ["elvis", name], label);
  const more = folded("Pointing, date, window, seed");
  for (const [name, label] of [["ra", "RA, deg"], ["dec", "Dec, deg"], ["position_angle", "Position angle, deg"]]) {
    field(more, ["elvis", "pointing", name], label);
  }
  field(more, ["elvis", "date"], "Date, UTC");
  field(more, ["elvis", "seed"], "Seed");
  for (const [name, label] of [["x0", "First column"], ["y0", "First row"], ["nx", "Columns"], ["ny", "Rows"]]) {
    field(more, ["elvis", "window", name], label);
  }
  field(more, ["elvis", "chips"], "Chips", { type: ["array", "string"] });
}

function choose(request, kind, scenes) {
  // Make the target a point, a profile, a scene or what is uploaded.
  for (const name of Object.keys(UPLOADS)) set(request, ["elvis", name], undefined);
  set(request, ["elvis", "scene"], kind in scenes ? { name: kind } : undefined);
  const extended = kind === "sersic" || kind === "infinite";
  const shape = extended ? { morphologytype: "extended", extendedtype: kind } : { morphologytype: "point" };
  if (kind === "sersic") Object.assign(shape, { radius: 0.5, index: 1 });
  set(request, ["target", "morphology"], shape);
}

export function mark(panel, pointer, message) {
  // Show a message at the field of a pointer, or at the nearest one above it; return whether there is one.
  clear(panel);
  const fields = [...panel.querySelectorAll("[data-pointer]")];
  const field = fields.find((each) => each.dataset.pointer === pointer) ??
    fields.find((each) => each.dataset.pointer.startsWith(`${pointer}/`) || pointer.startsWith(`${each.dataset.pointer}/`));
  if (!field) return false;
  const text = document.createElement("span");
  text.className = "error";
  text.id = `${field.id}-error`;
  text.textContent = message.replace(`${pointer}: `, ""); // it stands at its place
  if (field.closest("details")) field.closest("details").open = true;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", text.id);
  field.after(text);
  return true;
}

export function clear(panel) {
  for (const each of panel.querySelectorAll("span.error")) each.remove();
  for (const each of panel.querySelectorAll("[aria-invalid]")) {
    each.removeAttribute("aria-invalid");
    each.removeAttribute("aria-describedby");
  }
}
