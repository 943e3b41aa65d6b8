// A request outside the page: the link that holds it, command lines, the history of this browser.

const MOST_KEPT = 30; // requests of the history
const LONGEST = 100_000; // characters of a request in a link or in the history: uploaded images are longer
const at = (id) => document.getElementById(id);

const encode = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text))).replaceAll("+", "-").replaceAll("/", "_");

export function decode(text) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

export function hold(body) {
  // Put the request into the address; return whether it fits.
  const fits = body.length <= LONGEST;
  history.replaceState(null, "", fits ? `#${encode(body)}` : location.pathname);
  return fits;
}

export function lines(body, isReduced) {
  const quoted = body.length <= LONGEST ? `'${body.replaceAll("'", "'\\''")}'` : "@request.json";
  const echo = body.length <= LONGEST ? `echo ${quoted} |` : "cat request.json |";
  const path = new URL(isReduced ? "reduce" : "etc", location.href.split("#")[0]);
  at("elvis-line").value = `${echo} elvis ${isReduced ? "--product reduced " : ""}> elvis.fits`;
  at("curl-line").value = `curl --data-binary ${quoted} -o elvis.fits ${path}`;
}

const kept = () => JSON.parse(localStorage.getItem("elvis-history") ?? "[]");

export function remember(body, summary) {
  if (body.length > LONGEST) return;
  const rows = kept().filter((one) => one.body !== body);
  rows.unshift({ body, summary, time: new Date().toISOString() });
  localStorage.setItem("elvis-history", JSON.stringify(rows.slice(0, MOST_KEPT)));
}

export function forget() {
  localStorage.removeItem("elvis-history");
}

export function list(open) {
  const rows = kept();
  at("history").replaceChildren(...rows.map((one) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.textContent = `${one.time.slice(0, 16).replace("T", " ")} ${one.summary}`;
    button.addEventListener("click", () => open(JSON.parse(one.body)));
    item.append(button);
    return item;
  }));
  if (!rows.length) at("history").textContent = "Nothing yet.";
}
