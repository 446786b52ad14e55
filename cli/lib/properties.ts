/** The text of a .properties file, which Java reads as Latin-1: other letters are escaped. */
export function propertiesText(values: Readonly<Record<string, string | number>>): string {
  const escaped = (text: string) =>
    text
      .replaceAll('\\', '\\\\')
      .replaceAll('\n', '\\n')
      .replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return `${Object.entries(values)
    .map(([key, value]) => `${key}=${escaped(String(value))}`)
    .join('\n')}\n`;
}
