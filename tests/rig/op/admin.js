// The tests' side door: plain HTTP on loopback under a path that only the
// owner of rig.json knows.
import http from 'node:http';
import { grantTokens } from './provider.js';
import { knobs, breaks, turn } from './knobs.js';
import { issued } from './store.js';
import { stats, clear } from './stats.js';

async function readJson(req) {
  let text = '';
  for await (const chunk of req) {
    text += chunk;
    if (text.length > 65536) throw new Error('request too large');
  }
  return text ? JSON.parse(text) : {};
}

function handlers(provider, { users, defaultClient }) {
  return {
    'GET /ready': () => ({ ready: true }),
    'GET /knobs': () => ({ ...knobs, break: breaks }),
    'GET /stats': () => ({ ...stats, issued }),
    'POST /clear': () => {
      clear();
      return {};
    },
    'POST /knob': ({ name, values = [] }) => turn(name, values, users),
    'POST /grant': ({ user, client = defaultClient }) => {
      if (!Object.hasOwn(users, user ?? '')) throw new Error(`no user '${user}'`);
      return grantTokens(provider, user, client);
    },
  };
}

export function adminServer(provider, config) {
  const table = handlers(provider, config);
  const prefix = `/${config.adminPath}`;
  return http.createServer(async (req, res) => {
    const reply = (status, body) => {
      res.writeHead(status, { 'content-type': 'application/json' });
      res.end(`${JSON.stringify(body, null, 1)}\n`);
    };
    if (!req.url.startsWith(`${prefix}/`)) return reply(404, { error: 'not found' });
    const name = `${req.method} ${req.url.slice(prefix.length)}`;
    if (!Object.hasOwn(table, name)) return reply(404, { error: `no ${name}` });
    try {
      return reply(200, await table[name](await readJson(req)));
    } catch (err) {
      return reply(400, { error: err.message });
    }
  });
}
