// The answers of the server: figures, prediction, notes, the picture.

const at = (id) => document.getElementById(id);
const FIGURES = { // keywords of the prediction that stand above the picture
  "ESO SIM SNR": "S/N",
  "ESO SIM LIMIT MAG": "Limit, S/N 5",
  "ESO SIM IQ FWHM": "Image quality",
  "ESO SIM IQ STREHL": "Strehl ratio",
  "ESO SIM SPEC R": "Resolving power",
  "ESO SIM APER ENCIRC": "In the aperture",
  "ESO SIM PEAK ELEC": "Brightest pixel",
};
let url = null;

function brief(keyword, value, unit) {
  if (keyword === "ESO SIM APER ENCIRC") return `${digits(100 * value, 3)} %`;
  if (unit === "arcsec" && value < 0.1) return `${digits(1000 * value, 3)} mas`;
  return `${digits(value, unit === "arcsec" ? 3 : 4)} ${unit}`;
}

const digits = (value, count) => (typeof value === "number" ? Number(value.toPrecision(count)).toString() : String(value));

function parted(card) {
  // Name and unit of a card, whose comment begins with the unit in brackets.
  const [, unit, name] = /^(?:\[([^\]]*)\] )?(.*)$/.exec(card.comment || card.keyword);
  return { name, unit: unit ?? "" };
}

export function prediction(answer) {
  const cards = new Map(answer.prediction.map((card) => [card.keyword, card]));
  const figures = Object.entries(FIGURES).filter(([keyword]) => cards.has(keyword)).flatMap(([keyword, name]) => {
    const card = cards.get(keyword);
    const term = Object.assign(document.createElement("dt"), { textContent: name });
    const value = Object.assign(document.createElement("dd"), { textContent: brief(keyword, card.value, parted(card).unit) });
    if (keyword === "ESO SIM PEAK ELEC" && cards.get("ESO SIM PEAK SATUR")?.value === true) {
      value.className = "warning";
      term.textContent = "Saturated";
    }
    const box = document.createElement("div");
    box.append(term, value);
    return box;
  });
  at("figures").replaceChildren(...figures);
  const rows = answer.prediction.map((card) => {
    const { name, unit } = parted(card);
    const row = document.createElement("tr");
    const head = Object.assign(document.createElement("th"), { scope: "row", textContent: name, title: card.keyword });
    const value = Object.assign(document.createElement("td"), { textContent: `${digits(card.value, 6)} ${unit}` });
    row.append(head, value);
    return row;
  });
  at("prediction").tBodies[0].replaceChildren(...rows);
  at("notes").replaceChildren(...answer.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
}

export function picture(blob, name) {
  const old = url;
  url = URL.createObjectURL(blob);
  at("picture").src = at("png").href = url;
  at("picture").alt = `The frame: ${name}`;
  at("picture").hidden = at("png").hidden = false;
  if (old) URL.revokeObjectURL(old);
  at("result").classList.remove("stale");
}

export function save(blob) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: "elvis.fits" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
