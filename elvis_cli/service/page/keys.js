// All keys of a request: an input for each leaf of the schema of its mode.

import { input } from "./form.js";
import { get, join, set } from "./pointer.js";

const MOST = 60; // shown at one time

function* leaves(schema, path = []) {
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    const inner = [...path, name];
    if (member.properties && !member.oneOf && !member.required) yield* leaves(member, inner);
    else if (inner.length > 1) yield [inner, member];
  }
}

export function build(box, { request, schema, find, change }) {
  // Fill the box with the keys whose pointer or description has the words.
  const words = find.toLowerCase().split(/\s+/);
  const found = [...leaves(schema)].filter(([path, member]) => {
    const text = `${join(path)} ${member.description ?? ""} ${member.title ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  box.replaceChildren();
  for (const [path, member] of found.slice(0, MOST)) {
    const field = input(member, get(request, path), (value) => {
      set(request, path, value);
      change();
    }, join(path));
    field.lastChild.dataset.pointer = join(path);
    box.append(field);
    if (member.description) {
      const about = document.createElement("div");
      about.className = "about";
      about.textContent = member.description;
      box.append(about);
    }
  }
  const rest = document.createElement("p");
  rest.textContent = found.length > MOST ? `and ${found.length - MOST} more keys: find them by name` : `${found.length} keys`;
  box.append(rest);
}
