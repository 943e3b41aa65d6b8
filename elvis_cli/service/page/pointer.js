// JSON pointers (RFC 6901): reading, writing and taking out values of a request.

export const join = (path) => path.map((step) => `/${step.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

export const split = (pointer) =>
  pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));

export const get = (value, path) => path.reduce((inner, step) => inner?.[step], value);

export function set(value, path, member) {
  const parent = path.slice(0, -1).reduce((inner, step) => {
    if (inner[step] === null || typeof inner[step] !== "object") inner[step] = {};
    return inner[step];
  }, value);
  const last = path.at(-1);
  if (member === undefined) delete parent[last];
  else parent[last] = member;
}
