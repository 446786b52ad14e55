// In the place of servers that cannot be had here: Grafana answers and does nothing; the Kafka exporter
// shows one figure to who has its certificate, and tells who speaks no TLS, as the real one does.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as listenTo } from 'node:net';

const file = process.argv[2]?.replace(/^@/, '');
if (file === undefined) {
  createServer((_, response) => response.end('ok\n')).listen(3000);
} else {
  const given = readFileSync(file, 'utf8').split('\n');
  const pem = (what) =>
    readFileSync(given.find((line) => line.startsWith(`--server.tls.${what}-file=`)).split('=')[1]);
  const tls = { ca: pem('ca'), cert: pem('cert'), key: pem('key'), requestCert: true };
  const answers = createTlsServer(tls, (_, response) => {
    response.setHeader('Content-Type', 'text/plain; version=0.0.4');
    response.end('kafka_brokers 1\n');
  });
  listenTo((socket) => {
    socket.on('error', () => {});
    socket.once('data', (first) => {
      // A handshake begins with 22.
      if (first[0] !== 22) return socket.end('HTTP/1.0 400 Bad Request\r\n\r\n');
      socket.pause();
      socket.unshift(first);
      answers.emit('connection', socket);
    });
  }).listen(9308);
}
