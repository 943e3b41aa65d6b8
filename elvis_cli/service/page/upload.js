// Files of the user as a request holds them: a table of stars, an image.

const NUMBERS = ["x", "y", "ra", "dec", "mag", "temperature", "radius", "index", "ellipticity", "angle", "velocity", "id"];
const TEXTS = ["sed", "name"];
const TYPES = { catalogue: ".csv,.txt,text/csv", image: ".fits,.fit,.png,.jpg,.jpeg" };
const SIDE = 4096; // most elements along a side of an image

export function field(kind, title, take, present) {
  // Return a label with the input for a file; take is called with what the request gets.
  const box = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "file", accept: TYPES[kind], id: `upload-${kind}` });
  const about = document.createElement("span");
  about.className = "about";
  about.textContent = told(kind, present);
  box.className = "wide";
  box.append(title, input, about);
  const error = document.getElementById("upload-error");
  error.textContent = "";
  input.addEventListener("change", async () => {
    try {
      error.textContent = "";
      take(await { catalogue, image }[kind](input.files[0]));
    } catch (fault) {
      error.textContent = `${input.files[0].name}: ${fault.message}`;
    }
    input.value = ""; // the same file may be chosen again when it is right
  });
  return box;
}

function told(kind, present) {
  if (kind === "catalogue") {
    return present?.mag ? `${present.mag.length} sources` : "CSV with the columns x, y (arcsec) or ra, dec (deg), and mag; also sed, temperature, radius, index, velocity, name";
  }
  return present?.shape ? `${present.shape[1]} x ${present.shape[0]} pixels` : "FITS, PNG or JPEG; the target's brightness is that of the whole image";
}

async function catalogue(file) {
  const rows = (await file.text()).split(/\r?\n/).filter((line) => line.trim() && !line.startsWith("#"));
  const cells = (line) => line.split(line.includes(",") ? "," : /\s+/).map((cell) => cell.trim());
  const names = cells(rows[0] ?? "").map((name) => name.toLowerCase());
  const unknown = names.find((name) => ![...NUMBERS, ...TEXTS].includes(name));
  if (unknown !== undefined) throw new Error(`the column ${unknown || "without a name"} is not one of ${[...NUMBERS, ...TEXTS].join(", ")}`);
  const columns = Object.fromEntries(names.map((name) => [name, []]));
  rows.slice(1).forEach((line, place) => {
    const row = cells(line);
    if (row.length !== names.length) throw new Error(`row ${place + 1} has ${row.length} cells, not ${names.length}`);
    row.forEach((cell, column) => {
      const value = TEXTS.includes(names[column]) ? cell : Number(cell);
      if (Number.isNaN(value) || cell === "") throw new Error(`row ${place + 1}: ${names[column]} is not a number: ${cell}`);
      columns[names[column]].push(value);
    });
  });
  if (!columns.mag?.length) throw new Error("there is no column mag, or no row");
  return columns;
}

async function image(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const isFits = new TextDecoder("ascii").decode(bytes.slice(0, 9)) === "SIMPLE  =";
  const { rows, columns, values, scale } = isFits ? fits(bytes) : await photograph(file);
  if (Math.max(rows, columns) > SIDE) throw new Error(`it has ${columns} x ${rows} pixels; at most ${SIDE} along a side`);
  return { data: await pack(values), shape: [rows, columns], scale: scale ?? 0.01 };
}

function fits(bytes) {
  // The first image of the file, rows from the lowest.
  for (let start = 0; start < bytes.length;) {
    const cards = new Map();
    for (let at = start; ; at += 80) {
      const card = new TextDecoder("ascii").decode(bytes.slice(at, at + 80));
      if (card.length < 80) throw new Error("its header does not end");
      if (card.startsWith("END ")) {
        start = Math.ceil((at + 80 - start) / 2880) * 2880 + start;
        break;
      }
      if (card[8] === "=") cards.set(card.slice(0, 8).trim(), card.slice(10).split("/")[0].trim());
    }
    const number = (key, other = 0) => (cards.has(key) ? Number(cards.get(key).replace("D", "E")) : other);
    const size = [1, 2, 3, 4].filter((axis) => axis <= number("NAXIS")).reduce((all, axis) => all * number(`NAXIS${axis}`), number("NAXIS") ? 1 : 0);
    const width = Math.abs(number("BITPIX")) / 8;
    if (number("NAXIS") === 2 && size && !cards.has("ZCMPTYPE") && !(cards.get("XTENSION") ?? "IMAGE").includes("TABLE")) {
      const view = new DataView(bytes.buffer, start);
      const read = { 8: "getUint8", 16: "getInt16", 32: "getInt32", "-32": "getFloat32", "-64": "getFloat64" }[number("BITPIX")];
      if (!read || view.byteLength < size * width) throw new Error("its image is cut off, or of an unknown type");
      const values = Float32Array.from({ length: size }, (_, i) => view[read](i * width) * number("BSCALE", 1) + number("BZERO"));
      const degrees = Math.abs(number("CDELT2")) || Math.hypot(number("CD1_2"), number("CD2_2"));
      return { rows: number("NAXIS2"), columns: number("NAXIS1"), values, scale: degrees ? degrees * 3600 : undefined };
    }
    start += Math.ceil((size * width + number("PCOUNT")) / 2880) * 2880;
  }
  throw new Error("it has no image of two axes");
}

async function photograph(file) {
  // Grey values of a picture, rows from the lowest.
  const bitmap = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const pen = canvas.getContext("2d");
  pen.drawImage(bitmap, 0, 0);
  const { data } = pen.getImageData(0, 0, bitmap.width, bitmap.height);
  const values = new Float32Array(bitmap.width * bitmap.height);
  for (let y = 0; y < bitmap.height; y++) {
    for (let x = 0; x < bitmap.width; x++) {
      const from = 4 * (y * bitmap.width + x);
      values[(bitmap.height - 1 - y) * bitmap.width + x] = (data[from] + data[from + 1] + data[from + 2]) / 3;
    }
  }
  return { rows: bitmap.height, columns: bitmap.width, values };
}

async function pack(values) {
  // base64 of zlib of little-endian 32-bit floats
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, place) => view.setFloat32(4 * place, value, true));
  const stream = new Blob([view]).stream().pipeThrough(new CompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  let text = "";
  for (let at = 0; at < packed.length; at += 8192) text += String.fromCharCode(...packed.subarray(at, at + 8192));
  return btoa(text);
}
