// What a test can turn while the authorization server runs.
import * as store from './store.js';
import { KINDS } from './broken.js';

const DEFAULTS = {
  lifetime: 3600, // seconds of an access token
  token_size: 43, // characters of an access token
  rotate: 'off', // on: each refresh gives a new refresh token, the old one is spent
  grace: 0, // seconds in which a spent refresh token is taken all the same
  delay: 0, // milliseconds before each token answer
  slow_ms: 100, // milliseconds between two bytes of a "slow" answer
  retry_after: 2, // seconds in the header of a 503 or 429
  service_user: 'alice@example.test', // whose mailbox a client-credentials token opens
  delegates: {}, // user → the mailbox that tokens of that user open from here on
};

export const knobs = { ...DEFAULTS };
export const breaks = []; // { kind, left, grant }: how the next token answers break

function number(text, least, most) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new Error(`'${text}' is not a number from ${least} to ${most}`);
  }
  return value;
}

function known(user, users) {
  if (user !== 'all' && !users[user]) throw new Error(`no user '${user}'`);
  return user;
}

function addBreak([kind, count = '1', grant = '']) {
  if (kind === 'off') {
    breaks.length = 0;
    return breaks;
  }
  if (!KINDS.includes(kind)) {
    throw new Error(`no way to break called '${kind}': off ${KINDS.join(' ')}`);
  }
  breaks.push({ kind, left: number(count, 1, 1e6), grant });
  return breaks;
}

const SETTERS = {
  lifetime: (v) => number(v, 1, 1e7),
  token_size: (v) => number(v, 22, 65536),
  delay: (v) => number(v, 0, 600_000),
  slow_ms: (v) => number(v, 1, 600_000),
  retry_after: (v) => number(v, 0, 1e6),
  grace: (v) => number(v, 0, 1e6),
  rotate: (v) => {
    if (v !== 'on' && v !== 'off') throw new Error('rotate is on or off');
    return v;
  },
};

/** Turns one knob; the answer says what it is now, or how many it hit. */
export function turn(name, values, users) {
  switch (name) {
    case 'expire': return { removed: store.expireAccess(known(values[0], users)) };
    case 'revoke': return { removed: store.revokeRefresh(known(values[0], users)) };
    case 'withdraw': return { removed: store.withdraw(known(values[0], users)) };
    case 'break': return { break: addBreak(values) };
    case 'reset':
      breaks.length = 0;
      return Object.assign(knobs, DEFAULTS);
    case 'service_user':
      knobs.service_user = known(values[0], users);
      return { [name]: knobs[name] };
    case 'delegate':
      knobs.delegates = { ...knobs.delegates, [known(values[0], users)]: known(values[1], users) };
      return { [name]: knobs.delegates };
    default:
  }
  if (!Object.hasOwn(SETTERS, name)) {
    throw new Error(`no knob '${name}': expire revoke withdraw break delegate reset `
      + `${Object.keys(DEFAULTS).join(' ')}`);
  }
  knobs[name] = SETTERS[name](values[0]);
  return { [name]: knobs[name] };
}

/** The way in which this token answer is to break, if it is. */
export function takeBreak(grant) {
  const at = breaks.findIndex((b) => !b.grant || b.grant === grant);
  if (at < 0) return undefined;
  const { kind } = breaks[at];
  breaks[at].left -= 1;
  if (breaks[at].left === 0) breaks.splice(at, 1);
  return kind;
}
