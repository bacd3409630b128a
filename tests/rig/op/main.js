// node main.js CONFIG: the authorization server and its side door.
// Ends at SIGTERM, after writing down what it knows, so that it can come back.
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { makeProvider, makeKeys } from './provider.js';
import { adminServer } from './admin.js';
import { interactions } from './pages.js';
import { knobs, breaks } from './knobs.js';
import { stats } from './stats.js';
import * as store from './store.js';
import { remember } from './sockets.js';
import { relayServer } from './relay.js';

const config = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const before = store.load(config.state);
const keys = before?.keys ?? { jwks: makeKeys(), cookieKey: crypto.randomBytes(24).toString('hex') };
Object.assign(knobs, before?.knobs);
Object.assign(stats, before?.stats);
breaks.push(...before?.breaks ?? []);

const provider = await makeProvider({ ...config, ...keys });
const signIn = interactions(provider, config.users);
const protocol = provider.callback();

function answer(req, res) {
  if (req.url.startsWith('/interaction/')) {
    signIn(req, res).catch((err) => {
      if (!res.headersSent) res.writeHead(400, { 'content-type': 'text/plain' });
      res.end(`${err.message}\n`);
    });
    return;
  }
  if (req.url === '/followed') stats.redirects_followed += 1;
  // RFC 8414 and OpenID Connect name the same document differently
  if (req.url === '/.well-known/oauth-authorization-server') {
    req.url = '/.well-known/openid-configuration';
  }
  protocol(req, res);
}

const pem = ({ cert, key }) => ({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) });
const ready = [];
function listen(server, port) {
  ready.push(new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', backlog: 1024 }, resolve);
  }));
}

for (const { port, ...files } of config.https) {
  const server = https.createServer(pem(files), answer);
  // Dovecot keeps its connections; it must be the one who closes them
  server.keepAliveTimeout = 120_000;
  remember(server);
  listen(server, port);
}
// The same mail server behind a certificate that Dovecot has no address for.
for (const { port, to, ...files } of config.tlsFronts) {
  listen(tls.createServer(pem(files), (client) => {
    const mail = net.connect(to, '127.0.0.1');
    client.pipe(mail).pipe(client);
    client.on('error', () => mail.destroy());
    mail.on('error', () => client.destroy());
  }), port);
}
listen(relayServer(config.relay.lmtp), config.relay.port);
await Promise.all(ready);
const admin = adminServer(provider, config);
listen(admin, config.adminPort); // last: who is answered here finds all the rest
await Promise.all(ready);

setInterval(store.sweep, 60_000).unref();
process.on('SIGTERM', () => {
  store.save(config.state, { keys, knobs, breaks, stats });
  process.exit(0);
});
