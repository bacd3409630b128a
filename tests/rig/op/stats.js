// Counters, and the last token requests one by one. No secrets in here.
const KEEP = 200;

export const stats = {
  token_requests: {}, // grant type -> outcome -> count
  token_requests_total: 0,
  token_requests_at_once: 0, // most that were ever open at the same time
  introspections: { active: 0, inactive: 0, error: 0 },
  other_requests: {}, // path -> count
  redirects_followed: 0,
  last: [],
};

let open = 0;

export function tokenBegins() {
  open += 1;
  stats.token_requests_total += 1;
  stats.token_requests_at_once = Math.max(stats.token_requests_at_once, open);
}

export function tokenEnds(entry) {
  open -= 1;
  const outcomes = (stats.token_requests[entry.grant] ??= {});
  outcomes[entry.outcome] = (outcomes[entry.outcome] ?? 0) + 1;
  stats.last.push({ time: new Date().toISOString(), ...entry });
  if (stats.last.length > KEEP) stats.last.shift();
}

export function introspected(body) {
  if (typeof body?.active !== 'boolean') stats.introspections.error += 1;
  else if (body.active) stats.introspections.active += 1;
  else stats.introspections.inactive += 1;
}

export function other(path) {
  // uids in a path would make a counter each
  const name = path.replace(/^(\/[a-z.-]+(?:\/[a-z-]{1,14}(?=\/|$))?).*/, '$1').slice(0, 60);
  stats.other_requests[name] = (stats.other_requests[name] ?? 0) + 1;
}

export function clear() {
  Object.assign(stats, {
    token_requests: {},
    token_requests_total: 0,
    token_requests_at_once: open,
    introspections: { active: 0, inactive: 0, error: 0 },
    other_requests: {},
    redirects_followed: 0,
    last: [],
  });
}
