import { type ConnectionOptions, connect } from 'node:tls';
import type { TlsMaterial } from './tlsMaterial.ts';

/** How far a server's certificate is looked at: `ca` asks who signed it, `full` also whose name it has. */
export type Verification = 'none' | 'ca' | 'full';

/** For `tls.connect()`, and what takes its options. */
export function tlsOptions(
  tls: TlsMaterial,
  verification: Verification = 'full',
): ConnectionOptions {
  const { ca, cert, key, serverName } = tls;
  return {
    rejectUnauthorized: verification !== 'none',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(verification === 'full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

const PROBE_MS = 3000;

/** Whether a server begins TLS at once, whoever has signed its certificate: the answer to a connection that it cut. */
export function speaksTls(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, rejectUnauthorized: false, timeout: PROBE_MS });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('secureConnect', () => end(true));
    // One that wants a certificate of ours says so in TLS, too.
    socket.once('error', ({ message }) => end(/alert/.test(message)));
    socket.once('timeout', () => end(false));
    socket.once('close', () => end(false));
  });
}
