#!/usr/bin/env node
/**
 * Builds connectors/postgres-text with Maven, its tests and the check of its format included, and puts the jar
 * where it is committed: so that nobody needs a JDK to run cdc. With --check it builds the same aside, and
 * says whether the committed jar has the classes that the source makes.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const JAVA_MINIMUM = 17;
/** For a JVM that lives for seconds: a build takes half as long. */
const SHORT_RUN = '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC';
const NAME = 'cdc-postgres-text';
const module = join(dirname(fileURLToPath(import.meta.url)), '..', 'connectors', 'postgres-text');
const committed = join(module, `${NAME}.jar`);

/**
 * @param {string} message
 * @param {string} fix
 * @returns {never}
 */
function stop(message, fix) {
  console.error(`✖ ${message}\n  fix:   ${fix}`);
  process.exit(1);
}

/** @typedef {{ home: string, major: number }} Jdk */

/**
 * JAVA_HOME's JDK, else that of the PATH's javac: what only runs Java, as most servers have, is not enough.
 * @returns {Jdk}
 */
function findJdk() {
  const { JAVA_HOME } = process.env;
  for (const javac of [...(JAVA_HOME ? [join(JAVA_HOME, 'bin', 'javac')] : []), 'javac']) {
    const run = spawnSync(javac, ['-J-XshowSettings:properties', '-version'], { encoding: 'utf8' });
    /** @param {string} name */
    const told = (name) => new RegExp(`^ *${name} = (.*)$`, 'm').exec(run.stderr ?? '')?.[1] ?? '';
    const major = Number(told('java.specification.version'));
    if (major >= JAVA_MINIMUM) return { home: told('java.home'), major };
  }
  return stop(
    `There is no javac of Java ${JAVA_MINIMUM} or newer, neither in JAVA_HOME nor on the PATH.`,
    'apt-get install -y default-jdk-headless maven   # or your system’s JDK and Maven',
  );
}

/** @param {string} folder */
function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** What the jar was made of; test/converter.test.ts computes it, too. */
function sourceDigest() {
  const source = join(module, 'src', 'main');
  const hash = createHash('sha256');
  for (const name of filesBelow(source)) hash.update(readFileSync(join(source, name)));
  return hash.digest('hex').slice(0, 32);
}

/**
 * @param {Jdk} jdk
 * @param {string} output
 */
function build(jdk, output) {
  const run = spawnSync(
    'mvn',
    // Not quiet: how many tests ran is to be seen.
    [
      ...['-B', '-ntp', '-Dstyle.color=never', '-f', join(module, 'pom.xml')],
      ...[`-Doutput.folder=${output}`, `-Dsource.digest=${sourceDigest()}`, 'verify'],
    ],
    { stdio: 'inherit', env: { MAVEN_OPTS: SHORT_RUN, ...process.env, JAVA_HOME: jdk.home } },
  );
  if (run.error) stop('Maven (mvn) is missing.', 'apt-get install -y maven');
  if (run.status !== 0) {
    const format = `mvn -f ${relative('.', join(module, 'pom.xml'))} spotless:apply`;
    stop('The Maven module does not build (above).', `${format}   # where it is the format`);
  }
  return join(output, `${NAME}-1.jar`);
}

/**
 * What is in a jar but its manifest, by name.
 * @param {Jdk} jdk
 * @param {string} jar
 * @param {string} folder
 */
function contents(jdk, jar, folder) {
  mkdirSync(folder);
  execFileSync(join(jdk.home, 'bin', 'jar'), ['-xf', jar], { cwd: folder });
  return new Map(
    filesBelow(folder)
      .filter((name) => name !== join('META-INF', 'MANIFEST.MF'))
      .map((name) => [name, readFileSync(join(folder, name)).toString('base64')]),
  );
}

/** The major of the javac that made the committed jar. It is not compressed, so it can be read as it stands. */
function committedMajor() {
  return Number(/^Build-Jdk-Spec: (\d+)/m.exec(readFileSync(committed, 'latin1'))?.[1]);
}

/**
 * @param {Jdk} jdk
 * @param {string} built
 * @param {string} work
 */
function compare(jdk, built, work) {
  if (committedMajor() !== jdk.major) {
    // Another javac makes other bytes of the same source; that it compiles and passes is what can be said.
    console.log(`not compared: the jar is of javac ${committedMajor()}, this one is ${jdk.major}`);
    return;
  }
  const ours = contents(jdk, built, join(work, 'built'));
  const theirs = contents(jdk, committed, join(work, 'committed'));
  const names = [...new Set([...ours.keys(), ...theirs.keys()])].sort();
  const other = names.filter((name) => ours.get(name) !== theirs.get(name));
  if (other.length > 0)
    stop(
      `The committed jar is not what its source makes: ${other.join(', ')}`,
      'npm run converter   # and commit the jar',
    );
  console.log(`the same: ${names.length} files`);
}

const jdk = findJdk();
const work = mkdtempSync(join(tmpdir(), 'cdc-converter-'));
process.once('exit', () => rmSync(work, { recursive: true, force: true }));
const built = build(jdk, join(work, 'target'));
if (process.argv.includes('--check')) compare(jdk, built, work);
else copyFileSync(built, committed);
