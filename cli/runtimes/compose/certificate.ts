import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../lib/files.ts';
import { EXPORTER_CERT, EXPORTER_KEY, type ExporterCertificate } from './files.ts';

const YEARS = 20;

/** The Kafka exporter’s certificate and its key, made once; below `.cdc/`, for who wants to read it. */
export async function ensureCertificate(root: string, now: Date): Promise<ExporterCertificate> {
  const files = { cert: join(root, EXPORTER_CERT), key: join(root, EXPORTER_KEY) };
  if (!existsSync(files.cert) || !existsSync(files.key)) {
    // Large, and needed once in a stack's life.
    const { generate } = await import('selfsigned');
    const until = new Date(now);
    until.setFullYear(now.getFullYear() + YEARS);
    const made = await generate([{ name: 'commonName', value: 'kafka-exporter' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      notBeforeDate: now,
      notAfterDate: until,
      extensions: [
        { name: 'basicConstraints', cA: true },
        { name: 'keyUsage', digitalSignature: true, keyCertSign: true },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        {
          name: 'subjectAltName',
          altNames: [
            { type: 2, value: 'kafka-exporter' },
            { type: 2, value: 'localhost' },
            { type: 7, ip: '127.0.0.1' },
          ],
        },
      ],
    });
    writeFileAtomic(files.key, made.private, 0o600);
    writeFileAtomic(files.cert, made.cert, 0o600);
  }
  return { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') };
}
