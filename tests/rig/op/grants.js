// Grants that oidc-provider does not have: the resource owner's password, and
// the assertion of a service account (RFC 7523 section 2.1).
import crypto from 'node:crypto';
import fs from 'node:fs';

const BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const HOUR = 3600;
const SKEW = 300;

/** What a client's certificate says of the key that its assertions are signed with. */
export function withKeys({ cert, key, ...client }) {
  if (!cert) return client;
  const { publicKey, raw } = new crypto.X509Certificate(fs.readFileSync(cert));
  return {
    ...client,
    jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), use: 'sig' }] },
    thumbprint: crypto.createHash('sha256').update(raw).digest('base64url'),
  };
}

/** As Microsoft wants it: PS256 comes with the certificate's thumbprint. */
export function thumbprintCheck(clients, errors) {
  const known = new Map(clients.map((client) => [client.client_id, client.thumbprint]));
  return (ctx, claims, header, client) => {
    const given = header['x5t#S256'];
    if (given === undefined && header.alg !== 'PS256') return;
    if (given !== known.get(client.clientId)) {
      throw new errors.InvalidClientAuth('x5t#S256 is not that of the certificate');
    }
  };
}

export function registerPasswordGrant(provider, { users, errors, issue }) {
  provider.registerGrantType('password', async (ctx, next) => {
    const { username, password } = ctx.oidc.params;
    if (!Object.hasOwn(users, username ?? '') || users[username].password !== password) {
      throw Object.assign(new errors.InvalidGrant('password'), {
        error_description: 'AADSTS50126: Error validating credentials due to invalid username or '
          + 'password.',
      });
    }
    ctx.oidc.entity('Account', await provider.Account.findAccount(ctx, username));
    const { expires_in, ...tokens } = await issue(username, ctx.oidc.client.clientId);
    ctx.body = { token_type: 'Bearer', expires_in, ...tokens };
    await next();
  }, ['username', 'password', 'scope']);
}

const decode = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());

/** Header and claims of an assertion, which are no secret; nothing when it is none. */
export function readAssertion(text) {
  const parts = (text ?? '').split('.');
  try {
    return parts.length === 3 ? { header: decode(parts[0]), claims: decode(parts[1]) } : undefined;
  } catch {
    return undefined;
  }
}

// Why the assertion is refused, or nothing.
function problemOf(form, account, audience, users) {
  const { header, claims } = readAssertion(form.get('assertion')) ?? {};
  if (!header) return ['invalid_request', 'no assertion'];
  const parts = form.get('assertion').split('.');
  const now = Date.now() / 1000;
  const key = new crypto.X509Certificate(fs.readFileSync(account.cert)).publicKey;
  const isGood = header.alg === 'RS256' && header.typ === 'JWT'
    && crypto.verify('RSA-SHA256', Buffer.from(parts.slice(0, 2).join('.')), key,
      Buffer.from(parts[2], 'base64url'));
  if (!isGood) return ['invalid_grant', 'Invalid JWT Signature.'];
  if (claims.iss !== account.email) return ['invalid_grant', 'Invalid issuer.'];
  if (claims.aud !== audience) return ['invalid_grant', 'Invalid JWT: Failed audience check.'];
  if (!(claims.iat < now + SKEW && claims.exp > now && claims.exp <= claims.iat + HOUR)) {
    return ['invalid_grant', 'Invalid JWT: Token must be a short-lived token (60 minutes) and in a '
      + 'reasonable timeframe. Check your iat and exp values in the JWT claim.'];
  }
  if (!claims.scope) return ['invalid_scope', 'Empty or missing scope not allowed.'];
  if (!Object.hasOwn(users, claims.sub ?? '')) {
    return ['unauthorized_client', 'Client is unauthorized to retrieve access tokens using this '
      + 'method, or client not authorized for any of the scopes requested.'];
  }
  return undefined;
}

/** Answers a service account's request; false when it is none. */
export async function bearerGrant(ctx, form, { account, audience, users, issue }) {
  if (form.get('grant_type') !== BEARER) return false;
  const problem = problemOf(form, account, audience, users);
  if (problem) {
    const [error, error_description] = problem;
    ctx.status = 400;
    ctx.body = { error, error_description };
    return true;
  }
  const { access_token, expires_in } = await issue(readAssertion(form.get('assertion')).claims.sub);
  ctx.body = { access_token, expires_in, token_type: 'Bearer' };
  return true;
}
