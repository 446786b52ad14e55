/** What goes wrong before cdc is there to say it, in the form that cdc prints its own. */

/** As in cli/core/problems.ts, which is not built yet. */
export const EXIT = { bug: 1, usage: 2, configuration: 3, unreachable: 4 };

export class Stop extends Error {
  /**
   * @param {number} exit
   * @param {string} message
   * @param {string} cause
   * @param {string} fix to paste
   */
  constructor(exit, message, cause, fix) {
    super(message);
    this.exit = exit;
    this.causeText = cause;
    this.fix = fix;
  }
}

/** @param {string} line */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/** @param {Stop} stop */
export function explain({ message, causeText, fix }) {
  /** @type {(label: string, text: string) => string[]} */
  const block = (label, text) =>
    text.split('\n').map((line, i) => `  ${i === 0 ? `${label}:`.padEnd(6) : '      '} ${line}`);
  say([`✖ ${message}`, ...block('cause', causeText), ...block('fix', fix)].join('\n'));
}
