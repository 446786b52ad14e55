/** What TLS connections to a server are made with, as PEM texts. Without a CA those that the system knows count. */
export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  /** PKCS#8, not encrypted: the one form that every program of the pipeline reads. */
  readonly key?: string;
  /** The name that the server's certificate must have, where that is not its address. */
  readonly serverName?: string;
}

/** Whether a mode of libpq's asks who signed the server's certificate. */
export function isVerified(sslmode: string | undefined): boolean {
  return sslmode === 'verify-ca' || sslmode === 'verify-full';
}
