/** Figures as people read them. */

export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 120
    ? `${minutes} min ${whole % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function formatMs(ms: number): string {
  return ms < 10
    ? `${ms.toFixed(1)} ms`
    : ms < 10_000
      ? `${Math.round(ms)} ms`
      : formatSeconds(ms / 1000);
}

/** `20s`, `5m`, `1h`, `250ms`, or a bare number of seconds. Returns undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim());
  if (!match) return undefined;
  const scale = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? 's'] ?? 1000;
  return Number(match[1]) * scale;
}

/** `1%`, `0.5 %`: the fraction, above 0 and up to 1. Returns undefined for anything else. */
export function parsePercent(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?%$/.exec(text.trim());
  const fraction = match ? Number(match[1]) / 100 : 0;
  return fraction > 0 && fraction <= 1 ? fraction : undefined;
}

/** A fraction as people read it: `1 %`, `0.25 %`. */
export function formatPercent(fraction: number): string {
  return `${Number((fraction * 100).toPrecision(3))} %`;
}

/** `512MB`, `50 GB`: bytes, in multiples of 1,024 as PostgreSQL counts them. Returns undefined for anything else. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(kB|MB|GB|TB)$/.exec(text.trim());
  if (!match) return undefined;
  const power = ['kB', 'MB', 'GB', 'TB'].indexOf(match[2] ?? '') + 1;
  return Math.round(Number(match[1]) * 1024 ** power);
}
