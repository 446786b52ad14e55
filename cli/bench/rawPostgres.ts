import type pg from 'pg';

/**
 * Queries that the driver hands what comes as it is, for the limits beside which figures stand: nothing is made of the
 * bytes. Their methods are those of a Submittable (https://node-postgres.com/apis/client); @types/pg names only the first.
 */
interface Chunk {
  readonly chunk: Buffer;
}

interface Sender {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
}

abstract class RawQuery<T> implements pg.Submittable {
  readonly done: Promise<T>;
  protected resolve!: (value: T) => void;
  private reject!: (error: Error) => void;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  submit(connection: unknown): void {
    (connection as Sender).query(this.text);
  }

  handleError(error: Error): void {
    this.reject(error);
  }

  handleCommandComplete(): void {}
  handleReadyForQuery(): void {}
}

/** `COPY … TO STDOUT`, to its end. */
export class CopyOut extends RawQuery<void> {
  handleCopyData(): void {}

  override handleReadyForQuery(): void {
    this.resolve();
  }
}

const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
const STATUS = 0x72;
/** Before the message of the output plugin. */
const XLOG_HEADER_BYTES = 25;
const INSERT = 0x49;

/**
 * `START_REPLICATION … LOGICAL` with pgoutput, until so many inserts have come; what comes later is not read. Message
 * formats: https://www.postgresql.org/docs/current/protocol-replication.html
 */
export class ReadInserts extends RawQuery<number> {
  private left: number;

  constructor(text: string, inserts: number) {
    super(text);
    this.left = inserts;
  }

  handleCopyData({ chunk }: Chunk, connection: Sender): void {
    if (chunk[0] === XLOG_DATA && chunk[XLOG_HEADER_BYTES] === INSERT) {
      this.left -= 1;
      if (this.left === 0) this.resolve(performance.now());
    } else if (chunk[0] === KEEPALIVE && chunk.at(-1) === 1) {
      // It wants an answer; its place is the one that it has itself.
      const end = chunk.readBigUInt64BE(1);
      const answer = Buffer.alloc(34);
      answer[0] = STATUS;
      for (const at of [1, 9, 17]) answer.writeBigUInt64BE(end, at);
      connection.sendCopyFromChunk(answer);
    }
  }
}
