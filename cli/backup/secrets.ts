import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto';
import { z } from 'zod';

const PURPOSE = Buffer.from('cdc backup secrets v1');
const KEY_BYTES = 32;
/** 64 MiB and a quarter of a second for each guess. */
const SCRYPT = { N: 2 ** 16, r: 8, p: 1, maxmem: 128 * 1024 ** 2 };

const sealedSchema = z.object({
  v: z.literal(1),
  cipher: z.literal('aes-256-gcm'),
  kdf: z.literal('scrypt'),
  salt: z.base64(),
  iv: z.base64(),
  tag: z.base64(),
  data: z.base64(),
});

/** Texts by the names of their files. */
export type SecretFiles = Readonly<Record<string, string>>;
const secretFiles = z.record(z.string(), z.string());

export function seal(files: SecretFiles, passphrase: string): string {
  const salt = randomBytes(16);
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', keyOf(passphrase, salt), iv).setAAD(PURPOSE);
  const data = Buffer.concat([cipher.update(JSON.stringify(files), 'utf8'), cipher.final()]);
  const text = (bytes: Buffer) => bytes.toString('base64');
  return JSON.stringify({
    v: 1,
    cipher: 'aes-256-gcm',
    kdf: 'scrypt',
    salt: text(salt),
    iv: text(iv),
    tag: text(cipher.getAuthTag()),
    data: text(data),
  } satisfies z.input<typeof sealedSchema>);
}

/** Undefined where the passphrase is another one, or the text was changed. */
export function unseal(sealed: string, passphrase: string): SecretFiles | undefined {
  try {
    const { salt, iv, tag, data } = sealedSchema.parse(JSON.parse(sealed));
    const bytes = (text: string) => Buffer.from(text, 'base64');
    const decipher = createDecipheriv(
      'aes-256-gcm',
      keyOf(passphrase, bytes(salt)),
      bytes(iv),
      // A shorter one would be easier to forge.
      { authTagLength: 16 },
    )
      .setAAD(PURPOSE)
      .setAuthTag(bytes(tag));
    const text = Buffer.concat([decipher.update(bytes(data)), decipher.final()]).toString('utf8');
    return secretFiles.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function keyOf(passphrase: string, salt: Buffer): Buffer {
  return scryptSync(passphrase.normalize('NFC'), salt, KEY_BYTES, SCRYPT);
}
