// Calls of the server; every path is relative, so that the page works behind a proxy too.

export class Problem extends Error {
  constructor(members) {
    super(members.detail);
    this.members = members;
  }
}

export async function call(path, { body, signal } = {}) {
  const headers = {};
  const token = sessionStorage.getItem("elvis-token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = body === undefined ? { headers, signal } : { method: "POST", headers, body, signal };
  const answer = await fetch(path, options);
  if (answer.ok) return answer;
  let members;
  try {
    members = await answer.json();
  } catch {
    members = { status: answer.status, detail: `the server answered ${answer.status}` };
  }
  throw new Problem(members);
}

const kept = new Map();

export async function json(path) {
  if (!kept.has(path)) kept.set(path, call(path).then((answer) => answer.json()));
  try {
    return await kept.get(path);
  } catch (error) {
    kept.delete(path); // a token may be missing
    throw error;
  }
}
