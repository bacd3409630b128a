// The sign-in pages: plain forms, no script, nothing fetched from anywhere.
const escapes = {
  '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;',
};
const safe = (text) => String(text ?? '').replace(/[&<>"']/g, (c) => escapes[c]);

export const page = (title, body) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${safe(title)}</title>
<style>body{font:16px sans-serif;max-width:24em;margin:4em auto}
input,button{font:inherit;display:block;margin:.5em 0;width:100%;box-sizing:border-box}</style>
</head><body><h1>${safe(title)}</h1>
${body}
</body></html>
`;

function loginForm(uid, hint, problem) {
  return page('Sign in', `${problem ? `<p role="alert">${safe(problem)}</p>` : ''}
<form method="post" action="/interaction/${safe(uid)}">
<label>Address <input name="user" type="text" value="${safe(hint)}" autocomplete="off"></label>
<label>Password <input name="password" type="password"></label>
<button name="do" value="login">Sign in</button>
<button name="do" value="cancel">Cancel</button>
</form>`);
}

function consentForm(uid, client, scope) {
  return page('Allow access', `<p>${safe(client)} asks for: ${safe(scope)}</p>
<form method="post" action="/interaction/${safe(uid)}">
<button name="do" value="allow">Allow</button>
<button name="do" value="cancel">Cancel</button>
</form>`);
}

function send(res, status, html) {
  res.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  res.end(html);
}

async function readForm(req) {
  let text = '';
  for await (const chunk of req) {
    text += chunk;
    if (text.length > 8192) throw new Error('form too large');
  }
  return new URLSearchParams(text);
}

async function consent(provider, { grantId, session, params }) {
  const grant = (grantId && await provider.Grant.find(grantId))
    || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope ?? 'openid');
  return { consent: { grantId: await grant.save() } };
}

/** Answers /interaction/UID. users: address -> { password }. */
export function interactions(provider, users) {
  return async (req, res) => {
    const details = await provider.interactionDetails(req, res);
    const { uid, prompt, params } = details;
    const show = (status, problem, hint = params.login_hint) => send(res, status,
      prompt.name === 'login' ? loginForm(uid, hint, problem)
        : consentForm(uid, params.client_id, params.scope));
    if (req.method !== 'POST') return show(200);

    const form = await readForm(req);
    if (form.get('do') === 'cancel') {
      return provider.interactionFinished(req, res, {
        error: 'access_denied', error_description: 'the user said no',
      });
    }
    if (prompt.name === 'login') {
      const user = form.get('user')?.trim() ?? '';
      if (!Object.hasOwn(users, user) || users[user].password !== form.get('password')) {
        return show(403, 'Wrong address or password.', user);
      }
      return provider.interactionFinished(req, res, { login: { accountId: user } });
    }
    return provider.interactionFinished(req, res, await consent(provider, details));
  };
}

// device flow: the user types the code that the device shows
export async function deviceCodePage(ctx, form, out, err) {
  ctx.body = page('Enter the code', `${err ? '<p role="alert">That code is not right.</p>' : ''}
${form}
<button type="submit" form="op.deviceInputForm">Continue</button>`);
}

export async function deviceConfirmPage(ctx, form, client, info, userCode) {
  ctx.body = page('Confirm the device', `<p>${safe(client.clientId)} shows the code
<code>${safe(userCode)}</code></p>
${form}
<button type="submit" form="op.deviceConfirmForm">Continue</button>
<button type="submit" form="op.deviceConfirmForm" name="abort" value="yes">Cancel</button>`);
}

export async function deviceDonePage(ctx) {
  ctx.body = page('Signed in', '<p>You may close this page.</p>');
}

export async function errorPage(ctx, out) {
  ctx.type = 'html';
  ctx.body = page('Error', `<p>${safe(out.error)}: ${safe(out.error_description)}</p>`);
}
