// Plain SMTP without authentication, for Dovecot's submission service: it
// hands each mail to Dovecot's LMTP, line by line. Strictly one command at a
// time, since pipelining is not offered.
import net from 'node:net';

const OFFERED = /^250[ -](8BITMIME|ENHANCEDSTATUSCODES|SIZE|SMTPUTF8|VRFY)\b/i;

// Calls back with each complete line; data may arrive in any pieces.
function onLines(socket, take) {
  let rest = '';
  socket.setEncoding('latin1');
  socket.on('data', (text) => {
    const lines = (rest + text).split('\r\n');
    rest = lines.pop();
    if (rest.length > 1048576) socket.destroy();
    lines.forEach(take);
  });
}

// LMTP's greeting names what it can do; SMTP must not offer all of it.
function smtpHello(reply) {
  const kept = [reply[0], ...reply.slice(1).filter((line) => OFFERED.test(line))];
  return kept.map((line, i) => `250${i < kept.length - 1 ? '-' : ' '}${line.slice(4)}`);
}

export function relayServer(lmtpPort) {
  return net.createServer({ noDelay: true }, (client) => {
    const lmtp = net.connect({ port: lmtpPort, host: '127.0.0.1', noDelay: true });
    let command = 'GREETING'; // whose answer is awaited
    let inData = false;
    let recipients = 0;
    let pending = 1; // replies until the command is answered
    let reply = [];
    let worst = [];

    const end = () => {
      client.destroy();
      lmtp.destroy();
    };
    for (const socket of [client, lmtp]) socket.on('error', end).on('close', end);

    onLines(client, (line) => {
      if (inData) {
        lmtp.write(`${line}\r\n`, 'latin1');
        if (line === '.') {
          inData = false;
          [command, pending] = ['END', recipients];
        }
        return;
      }
      command = line.slice(0, 4).toUpperCase();
      pending = 1;
      const hello = command === 'EHLO' || command === 'HELO';
      lmtp.write(`${hello ? `LHLO${line.slice(4)}` : line}\r\n`, 'latin1');
    });

    onLines(lmtp, (line) => {
      reply.push(line);
      if (line[3] === '-') return;
      const code = reply[0].slice(0, 3);
      if (command === 'EHLO' || command === 'HELO') reply = smtpHello(reply);
      if (command === 'MAIL' || command === 'RSET') recipients = 0;
      if (command === 'RCPT' && code === '250') recipients += 1;
      if (command === 'DATA' && code === '354') inData = true;
      // LMTP answers once for each recipient, SMTP once for all
      if (!worst.length || code > worst[0].slice(0, 3)) worst = reply;
      reply = [];
      pending -= 1;
      if (pending <= 0) {
        client.write(`${worst.join('\r\n')}\r\n`, 'latin1');
        worst = [];
      }
    });
  });
}
