// A night: blocks, their plan as a table whose rows show their exposure, and the job that renders them.

import { call } from "./api.js";

const at = (id) => document.getElementById(id);

function query() {
  const found = new URLSearchParams({ seed: at("night-seed").value || "0" });
  if (at("night-start").value) found.set("start", at("night-start").value);
  return found;
}

export function prepare(show) {
  at("plan").addEventListener("click", () => run(() => plan(show)));
  at("execute").addEventListener("click", () => run(execute));
}

async function run(step) {
  at("night-error").textContent = "";
  try {
    await step();
  } catch (error) {
    at("night-error").textContent = error.message;
  }
}

async function plan(show) {
  const answer = await call(`ob?check=true&${query()}`, { body: at("blocks").value });
  const found = await answer.json();
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of ["", ...found.columns]) {
    const cell = document.createElement("th");
    cell.textContent = name;
    head.append(cell);
  }
  const body = table.createTBody();
  found.schedule.forEach((row, place) => {
    const line = body.insertRow();
    const button = document.createElement("button");
    button.textContent = "Show";
    button.setAttribute("aria-label", `Show exposure ${place + 1}`);
    button.addEventListener("click", () => show(found.requests[place]));
    line.insertCell().append(button);
    for (const value of row) line.insertCell().textContent = value;
  });
  at("schedule").replaceChildren(table);
}

async function execute() {
  let job = await (await call(`ob?${query()}`, { body: at("blocks").value })).json();
  while (job.state === "queued" || job.state === "running") {
    at("schedule").textContent = `${job.state}: ${job.files.length} of ${job.requests} files`;
    await new Promise((resolve) => setTimeout(resolve, 500));
    job = await (await call(`jobs/${job.id}`)).json();
  }
  const list = document.createElement("ul");
  for (const file of job.files) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.textContent = file.file ?? `line ${file.line}: ${file.message}`;
    if (file.url) link.href = `jobs/${job.id}/files/${encodeURIComponent(file.file)}`;
    item.append(link);
    list.append(item);
  }
  at("schedule").replaceChildren(list);
}

