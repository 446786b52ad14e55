// In the place of a server that cannot be had here: it answers, and does nothing.
import { createServer } from 'node:http';

for (const port of [3000, 9308]) createServer((_, response) => response.end('ok\n')).listen(port);
