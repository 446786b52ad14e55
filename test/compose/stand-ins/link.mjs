// npm packs no symbolic links: PostgreSQL's libraries get theirs from a list.
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const home = process.argv[2];
const list = join(home, 'pg-symlinks.json');
const links = existsSync(list) ? JSON.parse(readFileSync(list, 'utf8')) : [];
for (const { source, target } of links) {
  const [from, to] = [source, target].map((path) => join(home, path.replace(/^native\//, '')));
  if (!existsSync(to)) symlinkSync(relative(dirname(to), from), to);
}
