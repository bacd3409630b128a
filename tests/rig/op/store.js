// Everything the authorization server remembers: one Map, an adapter over it
// in the shape that oidc-provider wants, and saving to a file, so that a
// killed server can come back with the same tokens.
import fs from 'node:fs';

const items = new Map(); // "Model:id" -> { payload, until }
const byGrant = new Map(); // grant id -> [keys], for revokeByGrantId
const index = new Map(); // session uid or user code -> id
export const issued = {}; // model -> how many were ever made

const GRANTABLE = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode']);
const TOKENS = new Set(['AccessToken', 'ClientCredentials']);

export class Adapter {
  constructor(model) {
    this.model = model;
  }

  async upsert(id, payload, seconds) {
    const key = `${this.model}:${id}`;
    if (!items.has(key)) {
      issued[this.model] = (issued[this.model] ?? 0) + 1;
      if (payload.grantId && GRANTABLE.has(this.model)) {
        byGrant.set(payload.grantId, [...(byGrant.get(payload.grantId) ?? []), key]);
      }
    }
    if (this.model === 'Session') index.set(`uid:${payload.uid}`, id);
    if (payload.userCode) index.set(`code:${payload.userCode}`, id);
    items.set(key, { payload, until: seconds ? Date.now() + seconds * 1000 : 0 });
  }

  async find(id) {
    return items.get(`${this.model}:${id}`)?.payload;
  }

  async findByUid(uid) {
    return this.find(index.get(`uid:${uid}`));
  }

  async findByUserCode(code) {
    return this.find(index.get(`code:${code}`));
  }

  async consume(id) {
    const item = items.get(`${this.model}:${id}`);
    if (item) item.payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    items.delete(`${this.model}:${id}`);
  }

  async revokeByGrantId(grantId) {
    for (const key of byGrant.get(grantId) ?? []) items.delete(key);
    byGrant.delete(grantId);
  }
}

function removeWhere(test) {
  let count = 0;
  for (const [key, { payload }] of items) {
    if (test(key.slice(0, key.indexOf(':')), payload)) {
      items.delete(key);
      count += 1;
    }
  }
  return count;
}

const belongsTo = (payload, user) => user === 'all' || payload.accountId === user
  || payload.extra?.username === user;

/** Access tokens of a user die now. They vanish: introspection says inactive. */
export function expireAccess(user) {
  return removeWhere((model, p) => TOKENS.has(model) && belongsTo(p, user));
}

/** Refresh tokens of a user die now; access tokens live on until they expire. */
export function revokeRefresh(user) {
  return removeWhere((model, p) => model === 'RefreshToken' && belongsTo(p, user));
}

/** The user (or an administrator) withdraws everything, sessions too. */
export function withdraw(user) {
  return removeWhere((model, p) => ['RefreshToken', 'Grant', 'Session', ...TOKENS].includes(model)
    && belongsTo(p, user));
}

/** Drops what is long over, so that a rig may run for days. */
export function sweep() {
  const now = Date.now();
  for (const [key, item] of items) {
    if (item.until && item.until + 60_000 < now) items.delete(key);
  }
  for (const [grantId, keys] of byGrant) {
    const left = keys.filter((key) => items.has(key));
    if (left.length) byGrant.set(grantId, left);
    else byGrant.delete(grantId);
  }
  for (const [name, id] of index) {
    if (!items.has(`Session:${id}`) && !items.has(`DeviceCode:${id}`)) index.delete(name);
  }
}

/** Keys, knobs and counters of the caller go into the same file. */
export function save(file, more) {
  const text = JSON.stringify({
    items: [...items], byGrant: [...byGrant], index: [...index], issued, more,
  });
  fs.writeFileSync(`${file}.new`, text, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}

export function load(file) {
  if (!fs.existsSync(file)) return undefined;
  const saved = JSON.parse(fs.readFileSync(file, 'utf8'));
  for (const [key, value] of saved.items) items.set(key, value);
  for (const [key, value] of saved.byGrant) byGrant.set(key, value);
  for (const [key, value] of saved.index) index.set(key, value);
  Object.assign(issued, saved.issued);
  return saved.more;
}
