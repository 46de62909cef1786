// Asking the gateway. A problem (RFC 9457) becomes an error with its field.

const KEY = "fleetfold-token";

export class Problem extends Error {
  constructor(problem) {
    super(problem.field && problem.field !== "$" ? `${problem.detail} (${problem.field})` : problem.detail);
    this.status = problem.status;
    this.field = problem.field;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (text) => sessionStorage.setItem(KEY, text),
};

export function headers(more = {}) {
  return token.get() ? { Authorization: `Bearer ${token.get()}`, ...more } : more;
}

async function read(response) {
  const body = await response.json().catch(() => ({ status: response.status, detail: response.statusText }));
  if (!response.ok) throw new Problem(body);
  return body;
}

export async function get(path) {
  return read(await fetch(path, { headers: headers() }));
}

export async function post(verb, body) {
  return read(
    await fetch(`/api/v1/${verb}`, {
      method: "POST",
      headers: headers({ "Content-Type": "application/json" }),
      body: JSON.stringify(body),
    }),
  );
}
