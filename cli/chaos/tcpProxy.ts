import { once } from 'node:events';
import { createServer, type Server, Socket } from 'node:net';
import { pause } from '../lib/wait.ts';

/** More than this on its way, and the sender has to wait: what a slow network holds. */
const HELD_BYTES = 1024 ** 2;

export interface Target {
  readonly host: string;
  readonly port: number;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Neither end hears anything of the other any more, nor that it is gone. */
  isSilent: boolean;
}

/** Stands between clients and a server, and is as bad as a network can be. Listens on loopback only. */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  /** Where new connections lead to. */
  target: Target;
  /** Each way. */
  delayMs = 0;
  /** Each way of each connection; undefined for all that comes. */
  bytesPerSecond: number | undefined;
  private readonly listener: Server;
  private readonly links = new Set<Link>();
  private readonly closing = new AbortController();

  private constructor(listener: Server, port: number, target: Target) {
    this.listener = listener;
    this.port = port;
    this.target = target;
    listener.on('connection', (client) => this.join(client));
  }

  static async open(target: Target): Promise<TcpProxy> {
    const listener = createServer({ pauseOnConnect: true });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    if (address === null || typeof address === 'string') throw new TypeError('a port was expected');
    return new TcpProxy(listener, address.port, target);
  }

  get connections(): number {
    return this.links.size;
  }

  /** Both ends are told: connection reset. */
  cut(): void {
    for (const { client, server } of this.links) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Those that are open carry nothing from now on, and nobody is told; new ones are as they should be. */
  silence(): void {
    for (const link of this.links) link.isSilent = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing.abort();
    this.listener.close();
    this.cut();
    await once(this.listener, 'close');
  }

  private join(client: Socket): void {
    const server = new Socket();
    const link = { client, server, isSilent: false };
    this.links.add(link);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // Whose connection it is sees that it ended.
      socket.on('error', () => {});
      socket.on('close', () => this.part(link));
    }
    server.connect(this.target, () => {
      void this.carry(link, client, server);
      void this.carry(link, server, client);
    });
  }

  private part(link: Link): void {
    if (link.isSilent && !this.closing.signal.aborted) return;
    this.links.delete(link);
    link.client.destroy();
    link.server.destroy();
  }

  private async carry(link: Link, from: Socket, to: Socket): Promise<void> {
    const { signal } = this.closing;
    let heldBytes = 0;
    let last: Promise<unknown> = Promise.resolve();
    const send = async (chunk: Buffer, dueAtMs: number) => {
      await pause(Math.max(0, dueAtMs - performance.now()), signal);
      if (this.bytesPerSecond) await pause((chunk.length / this.bytesPerSecond) * 1000, signal);
      heldBytes -= chunk.length;
      if (!link.isSilent) to.write(chunk);
    };
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        heldBytes += chunk.length;
        const dueAtMs = performance.now() + this.delayMs;
        last = last.then(() => send(chunk, dueAtMs));
        last.catch(() => {});
        if (heldBytes > HELD_BYTES) await last;
      }
      await last;
      if (!link.isSilent) to.end();
    } catch {
      // The connection, or the proxy, ended: `part` sees to it.
    }
  }
}
