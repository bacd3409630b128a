// The authorization server: oidc-provider with this rig's users and clients.
import crypto from 'node:crypto';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { Adapter } from './store.js';
import { knobs, takeBreak } from './knobs.js';
import { isInstead, answerInstead, spoil } from './broken.js';
import * as pages from './pages.js';
import {
  withKeys, thumbprintCheck, registerPasswordGrant, bearerGrant, readAssertion,
} from './grants.js';
import * as count from './stats.js';

const DAY = 86400;
const SCOPES = ['openid', 'offline_access', 'email', 'profile', 'mail',
  'urn:ietf:params:oauth:scope:mail',
  // what the large providers call it
  'https://mail.google.com/',
  'https://outlook.office.com/IMAP.AccessAsUser.All',
  'https://outlook.office.com/POP.AccessAsUser.All',
  'https://outlook.office.com/SMTP.Send'];
export const ALL_SCOPES = SCOPES.join(' ');

// Providers whose refresh tokens rotate often take a spent one for a moment longer: its successor may
// have been lost on the way.
class LenientAdapter extends Adapter {
  async find(id) {
    const payload = await super.find(id);
    const spent = this.model === 'RefreshToken' && payload?.consumed;
    if (!spent || Date.now() / 1000 - spent >= knobs.grace) return payload;
    return { ...payload, consumed: undefined };
  }
}

/** Signing keys, made once per rig. */
export function makeKeys() {
  const key = (type, options, alg) => ({
    ...crypto.generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
    alg,
    use: 'sig',
    kid: alg,
  });
  return [
    key('rsa', { modulusLength: 2048 }, 'RS256'),
    key('ec', { namedCurve: 'P-256' }, 'ES256'),
  ];
}

// oidc-provider's own generator throws above 2,048 characters
function tokenText(length) {
  return crypto.randomBytes(Math.ceil(length * 3 / 4)).toString('base64url').slice(0, length);
}

function allowAnyLoopback(provider, presets) {
  const strict = provider.Client.prototype.redirectUriAllowed;
  provider.Client.prototype.redirectUriAllowed = function (uri) {
    if (strict.call(this, uri)) return true;
    if (!presets.has(this.clientId) || !URL.canParse(uri)) return false;
    const { protocol, hostname } = new URL(uri);
    return protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
  };
}

async function readBody(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > 262144) throw new Error('request too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

// Runs around the token endpoint: counts, delays and breaks.
async function aroundToken(ctx, next, bearer) {
  ctx.req.body = await readBody(ctx.req); // oidc-provider takes it from here
  const form = new URLSearchParams(ctx.req.body.toString());
  const grant = form.get('grant_type') ?? '?';
  const kind = takeBreak(grant);
  count.tokenBegins();
  let outcome = 'closed';
  try {
    if (knobs.delay) await sleep(knobs.delay);
    if (kind && isInstead(kind)) {
      outcome = `broken:${kind}`;
      await answerInstead(kind, ctx);
    } else {
      if (!await bearerGrant(ctx, form, bearer)) await next();
      outcome = ctx.body?.error ?? 'ok';
      if (kind) {
        if (outcome === 'ok') outcome = `broken:${kind}`;
        await spoil(kind, ctx);
      }
    }
  } finally {
    count.tokenEnds({
      grant,
      outcome,
      client: ctx.oidc?.entities?.Client?.clientId ?? form.get('client_id') ?? undefined,
      user: ctx.oidc?.entities?.Account?.accountId,
      auth: ctx.get('authorization') ? 'basic' : form.has('client_secret') && 'post'
        || form.has('client_assertion') && 'jwt' || undefined,
      assertion: readAssertion(form.get('client_assertion') ?? form.get('assertion')),
      agent: ctx.get('user-agent') || undefined,
    });
  }
}

const watch = (bearer) => async (ctx, next) => {
  if (ctx.path === '/token' && ctx.method === 'POST') return aroundToken(ctx, next, bearer);
  await next();
  if (ctx.path === '/token/introspection') count.introspected(ctx.body);
  else count.other(ctx.path);
  return undefined;
};

async function loadGrant(ctx) {
  // whoever signs in has agreed: a page to click away would only slow tests
  const { client, result, session, account } = ctx.oidc;
  const id = result?.consent?.grantId ?? session.grantIdFor(client.clientId);
  const { provider } = ctx.oidc;
  const grant = (id && await provider.Grant.find(id)) || new provider.Grant({
    accountId: account?.accountId ?? session.accountId, clientId: client.clientId,
  });
  grant.addOIDCScope(ALL_SCOPES);
  await grant.save();
  return grant;
}

function configuration({ clients, users, jwks, cookieKey, policy, errors }) {
  return {
    adapter: LenientAdapter,
    clients: clients.map(({ thumbprint, ...client }) => client),
    assertJwtClientAuthClaimsAndHeader: thumbprintCheck(clients, errors),
    jwks: { keys: jwks },
    cookies: { keys: [cookieKey] },
    scopes: SCOPES,
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false,
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt',
      'client_secret_jwt'],
    pkce: { methods: ['S256'], required: (ctx, client) => client.clientAuthMethod === 'none' },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: pages.deviceCodePage,
        userCodeConfirmSource: pages.deviceConfirmPage,
        successSource: pages.deviceDonePage,
      },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      registration: { enabled: true },
      registrationManagement: { enabled: true },
    },
    interactions: { policy, url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    renderError: pages.errorPage,
    loadExistingGrant: loadGrant,
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: () => knobs.rotate === 'on',
    expiresWithSession: () => false,
    extraTokenClaims: (ctx, token) => ({
      username: knobs.delegates[token.accountId] ?? token.accountId ?? knobs.service_user,
    }),
    findAccount: (ctx, sub) => (Object.hasOwn(users, sub) ? {
      accountId: sub,
      claims: () => ({
        sub, email: sub, email_verified: true, name: sub.split('@')[0],
      }),
    } : undefined),
    ttl: {
      AccessToken: () => knobs.lifetime,
      ClientCredentials: () => knobs.lifetime,
      AuthorizationCode: 60,
      DeviceCode: 600,
      IdToken: 3600,
      Interaction: 3600,
      Session: DAY,
      RefreshToken: 14 * DAY,
      Grant: 14 * DAY,
    },
  };
}

export async function makeProvider({
  modules, issuer, clients: given, users, jwks, cookieKey, serviceAccount, defaultClient,
}) {
  // node_modules are not beside this file: see ../README.md
  const entry = path.join(modules, 'oidc-provider/lib/index.js');
  const { Provider, interactionPolicy, errors } = await import(pathToFileURL(entry).href);
  const clients = given.map(withKeys);
  const policy = interactionPolicy.base();
  // by default a native client's user is asked for consent every time
  policy.get('consent').checks.remove('native_client_prompt');
  const provider = new Provider(issuer, configuration({
    clients, users, jwks, cookieKey, policy, errors,
  }));
  const issue = (user, client = defaultClient) => grantTokens(provider, user, client);
  registerPasswordGrant(provider, { users, errors, issue });
  allowAnyLoopback(provider, new Set(clients.map((c) => c.client_id)));
  for (const model of [provider.AccessToken, provider.ClientCredentials]) {
    model.prototype.generateTokenId = function () {
      this.format = 'opaque';
      return tokenText(knobs.token_size);
    };
  }
  provider.on('server_error', (ctx, err) => console.error(`${ctx.path}: ${err.stack}`));
  provider.use(watch({
    account: serviceAccount, audience: `${issuer}/token`, users, issue,
  }));
  return provider;
}

/** What a sign-in would have given: used by tests that need no browser. */
export async function grantTokens(provider, user, clientId) {
  const client = await provider.Client.find(clientId);
  if (!client) throw new Error(`no client '${clientId}'`);
  const grant = new provider.Grant({ accountId: user, clientId });
  grant.addOIDCScope(ALL_SCOPES);
  const grantId = await grant.save();
  const common = {
    client, accountId: user, grantId, scope: ALL_SCOPES, gty: 'authorization_code',
  };
  const refresh = await new provider.RefreshToken(common).save();
  const access = new provider.AccessToken(common);
  return { refresh_token: refresh, access_token: await access.save(), expires_in: access.expiration };
}
