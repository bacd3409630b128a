// Token answers as they are on a bad day.
//
// INSTEAD: the request is not looked at, another answer is sent.
// AFTER:   the request is carried out (a refresh token is spent), then the
//          answer is spoilt.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { reset } from './sockets.js';
import { knobs } from './knobs.js';

const HANG_MS = 600_000; // no hang is for ever
const HUGE_BYTES = 10 * 1024 * 1024;
const ESC = '\u001b';

function say(ctx, status, body, headers = {}) {
  ctx.status = status;
  ctx.set({ 'cache-control': 'no-store', ...headers });
  ctx.body = body;
}

const oauthError = (status, error, headers) => (ctx) => say(ctx, status, {
  error, error_description: `the rig was told to say ${error}`,
}, headers);

const retryLater = (status) => (ctx) => say(ctx, status, 'later\n', {
  'retry-after': String(knobs.retry_after), 'content-type': 'text/plain',
});

// until the client gives up
async function hang(ctx) {
  ctx.respond = false;
  const { socket } = ctx.req;
  const limit = setTimeout(() => socket.destroy(), HANG_MS);
  if (!socket.destroyed) await once(socket, 'close');
  clearTimeout(limit);
}

function huge(ctx) {
  say(ctx, 200, `{"token_type":"Bearer","expires_in":3600,"access_token":"tiny","padding":"${
    'x'.repeat(HUGE_BYTES)}"}`, { 'content-type': 'application/json' });
}

const INSTEAD = {
  500: (ctx) => say(ctx, 500, 'Internal Server Error\n', { 'content-type': 'text/plain' }),
  503: retryLater(503),
  429: retryLater(429),
  hang,
  reset: (ctx) => {
    ctx.respond = false;
    reset(ctx.req.socket);
  },
  html: (ctx) => say(ctx, 200, '<!doctype html><title>Portal</title><p>Please sign in to the Wi-Fi.',
    { 'content-type': 'text/html' }),
  badjson: (ctx) => say(ctx, 200, '{"access_token": "abc", "expires_in":',
    { 'content-type': 'application/json' }),
  empty: (ctx) => say(ctx, 200, '', { 'content-type': 'application/json' }),
  huge,
  redirect: (ctx) => say(ctx, 302, '', { location: `https://${ctx.host}/followed` }),
  invalid_grant: oauthError(400, 'invalid_grant'),
  invalid_client: oauthError(401, 'invalid_client', { 'www-authenticate': 'Basic realm="rig"' }),
  interaction_required: oauthError(400, 'interaction_required'),
  temporarily_unavailable: oauthError(503, 'temporarily_unavailable'),
  // a description that would paint a terminal and forge a log line
  error_escape: (ctx) => say(ctx, 400, {
    error: 'invalid_grant', error_description: `${ESC}[31mred${ESC}[0m\r\nforged line`,
  }),
};

// Each gets the good answer and gives back what is sent, an object or text.
const AFTER = {
  no_expires_in: ({ expires_in, ...rest }) => rest,
  no_refresh_token: ({ refresh_token, ...rest }) => rest,
  no_id_token: ({ id_token, ...rest }) => rest,
  no_access_token: ({ access_token, ...rest }) => rest,
  expires_in_string: (body) => ({ ...body, expires_in: String(body.expires_in) }),
  expires_in_negative: (body) => ({ ...body, expires_in: -1 }),
  expires_in_huge: (body) => ({ ...body, expires_in: 1e30 }),
  token_cr: (body) => ({ ...body, access_token: `${body.access_token}\rX` }),
  token_lf: (body) => ({ ...body, access_token: `${body.access_token}\r\nA1 LOGOUT` }),
  token_ctl: (body) => ({ ...body, access_token: `${body.access_token}\u0001host=x` }),
  token_empty: (body) => ({ ...body, access_token: '' }),
  token_number: (body) => ({ ...body, access_token: 12345 }),
  token_type_mac: (body) => ({ ...body, token_type: 'mac' }),
  duplicate_keys: (body) => JSON.stringify(body)
    .replace('{', '{"access_token":"first-of-two","expires_in":1,'),
};

// the request counts, only its answer is lost on the way
const DELIVERY = {
  lost: (ctx) => {
    ctx.respond = false;
    reset(ctx.req.socket);
  },
  slow: async (ctx) => {
    const text = typeof ctx.body === 'string' ? ctx.body : JSON.stringify(ctx.body);
    ctx.respond = false;
    ctx.res.writeHead(ctx.status, { 'content-type': 'application/json', 'content-length': text.length });
    for (const byte of text) {
      if (ctx.res.destroyed) return;
      ctx.res.write(byte);
      await sleep(knobs.slow_ms);
    }
    ctx.res.end();
  },
};

export const KINDS = [INSTEAD, AFTER, DELIVERY].flatMap(Object.keys);

export const isInstead = (kind) => Object.hasOwn(INSTEAD, kind);

export async function answerInstead(kind, ctx) {
  await INSTEAD[kind](ctx);
}

export async function spoil(kind, ctx) {
  if (Object.hasOwn(DELIVERY, kind)) {
    await DELIVERY[kind](ctx);
  } else if (ctx.status === 200) {
    const body = AFTER[kind](ctx.body);
    ctx.body = body;
    ctx.type = 'application/json'; // text would go out as text/plain
  }
}
