import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolveFrom } from '../config/load.ts';
import type { TlsMaterial } from '../lib/tlsMaterial.ts';
import { invalidKey } from './addresses.ts';

/** What a part of cdc.yaml says of TLS. */
export interface TlsKeys {
  readonly ca_file?: string | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
  readonly server_name?: string | undefined;
}

/**
 * Reads the files that a part of cdc.yaml names.
 *
 * @throws {Problem} CONFIG_INVALID where one is missing, is not PEM, has ended, or does not belong to the other.
 */
export function readTls(part: string, keys: TlsKeys, directory: string): TlsMaterial {
  const { ca_file, cert_file, key_file, server_name } = keys;
  const read = <T>(key: string, file: string, parse: (text: string) => T): T => {
    const path = resolveFrom(directory, file);
    try {
      return parse(readFileSync(path, 'utf8'));
    } catch (error) {
      throw invalidKey(`${part}.${key}: ${path}`, (error as Error).message);
    }
  };
  if ((cert_file === undefined) !== (key_file === undefined))
    throw invalidKey(
      `${part}.${cert_file === undefined ? 'key_file' : 'cert_file'}`,
      'a certificate and its key belong together: name both',
    );
  const ca = ca_file === undefined ? undefined : read('ca_file', ca_file, certificates);
  const cert = cert_file === undefined ? undefined : read('cert_file', cert_file, certificates);
  const key = key_file === undefined ? undefined : read('key_file', key_file, privateKey);
  if (cert && key && !new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
    throw invalidKey(`${part}.key_file`, `it is not the key of the certificate in ${cert_file}`);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(server_name === undefined ? {} : { serverName: server_name }),
  };
}

const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** One or several, without what stands between them; of a chain, the first is the server's or client's own. */
function certificates(text: string): string {
  const blocks = text.match(BLOCK) ?? [];
  if (blocks.length === 0) throw new Error('it has no certificate in PEM (BEGIN CERTIFICATE)');
  const [first] = blocks.map((block) => new X509Certificate(block));
  if (blocks.length === 1 && first && Date.parse(first.validTo) < Date.now())
    throw new Error(
      `the certificate of ${first.subject.replaceAll('\n', ', ')} ended ${first.validTo}`,
    );
  return `${blocks.join('\n')}\n`;
}

function privateKey(text: string): string {
  const key = createPrivateKey(text);
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
