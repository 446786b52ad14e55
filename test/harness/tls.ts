import { connect as connectTcp } from 'node:net';
import { createServer } from 'node:tls';
import { generate } from 'selfsigned';

/** Certificates that a test makes, and TLS in front of a server that has none of its own. */

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;

export async function authority(name: string): Promise<Certificate> {
  const made = await generate([{ name: 'commonName', value: name }], {
    keyType: 'rsa',
    keySize: 2048,
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { cert: made.cert, key: made.private };
}

/** @param days how long it is valid from now on; one that has ended ended so many days ago. */
export async function signedBy(
  { cert, key }: Certificate,
  name: string,
  { names = [name], days = 30 }: { names?: readonly string[]; days?: number } = {},
): Promise<Certificate> {
  const end = new Date(Date.now() + days * DAY_MS);
  const made = await generate([{ name: 'commonName', value: name }], {
    keyType: 'rsa',
    keySize: 2048,
    algorithm: 'sha256',
    notBeforeDate: new Date(end.getTime() - 40 * DAY_MS),
    notAfterDate: end,
    ca: { cert, key },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames: names.map((value) => ({ type: 2, value })) },
    ],
  });
  return { cert: made.cert, key: made.private };
}

/** TLS in front of a server of this machine, as a load balancer has it. */
export async function tlsInFrontOf(
  port: number,
  { cert, key }: Certificate,
  clientCa?: string,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer(
    {
      cert,
      key,
      ...(clientCa === undefined
        ? {}
        : { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
    },
    (outside) => {
      const inside = connectTcp(port, '127.0.0.1');
      for (const [one, other] of [
        [outside, inside],
        [inside, outside],
      ] as const) {
        one.on('error', () => other.destroy());
        one.on('close', () => other.destroy());
      }
      outside.pipe(inside).pipe(outside);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
